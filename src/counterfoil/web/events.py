"""Live progress: a stream of server-sent events that looks again and again, says what changed, and ends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from counterfoil.errors import CounterfoilError
from counterfoil.logging import get_logger

#: How often is looked, after how long of nothing new a sign of life is sent, and after how long the browser is to
#: come again, so that a session which ended meanwhile does not see on for ever.
LOOK_SECONDS = 0.5
ALIVE_SECONDS = 15
LONGEST_SECONDS = 1800

_log = get_logger("web")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be shown now, and whether nothing comes after it."""

    html: str
    last: bool = False


def stream(
    request: Request, look: Callable[[], Seen], *, event: str = "progress", every_seconds: float = LOOK_SECONDS
) -> StreamingResponse:
    """Events named `event` with what `look` sees whenever that changes; at the end one named `end`.

    `look` is called in a thread. When it raises, what it raised is logged, and `end` comes: the page is to be asked
    for anew then, which tells the error.
    """
    closing: threading.Event = request.app.state.closing
    return StreamingResponse(
        _events(look, event, every_seconds, closing),
        media_type="text/event-stream",
        # nginx would else keep the events back until there are 4 KB of them.
        headers={"X-Accel-Buffering": "no"},
    )


async def _events(
    look: Callable[[], Seen], event: str, every_seconds: float, closing: threading.Event
) -> AsyncIterator[str]:
    shown: str | None = None
    began = said_at = time.monotonic()
    yield "retry: 1000\n\n"
    while not closing.is_set() and time.monotonic() - began < LONGEST_SECONDS:
        try:
            seen = await run_in_threadpool(look)
        except CounterfoilError as error:
            _log.warning("live progress ends", error=str(error))
            yield _message("end", "")
            return
        if seen.html != shown:
            shown, said_at = seen.html, time.monotonic()
            yield _message(event, seen.html)
        elif time.monotonic() - said_at > ALIVE_SECONDS:
            said_at = time.monotonic()
            yield ": alive\n\n"
        if seen.last:
            yield _message("end", "")
            return
        await asyncio.sleep(every_seconds)


def _message(event: str, data: str) -> str:
    # Each line for itself: an empty one would end the message.
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {event}\n{lines}\n"
