"""Live progress: a stream of server-sent events that polls, sends changes, and ends."""

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

#: The polling interval; the time without changes after which a keep-alive is sent; and the longest stream. The browser
#: then reconnects, so that an expired session stops receiving events.
LOOK_SECONDS = 0.5
ALIVE_SECONDS = 15
LONGEST_SECONDS = 1800

_log = get_logger("web")


@dataclass(frozen=True, slots=True)
class Seen:
    """The HTML to show now, and whether it is the last."""

    html: str
    last: bool = False


def stream(
    request: Request, look: Callable[[], Seen], *, event: str = "progress", every_seconds: float = LOOK_SECONDS
) -> StreamingResponse:
    """Sends an event named `event` whenever the result of `look` changes, and an event named `end` at the end.

    `look` is called in a thread. If it raises, the error is logged and `end` is sent: the browser then requests the
    page, which shows the error.
    """
    closing: threading.Event = request.app.state.closing
    return StreamingResponse(
        _events(look, event, every_seconds, closing),
        media_type="text/event-stream",
        # Otherwise nginx buffers events until it has 4 KB.
        headers={"X-Accel-Buffering": "no"},
    )


async def _events(
    look: Callable[[], Seen], event: str, every_seconds: float, closing: threading.Event
) -> AsyncIterator[str]:
    shown: str | None = None
    began = sent_at = time.monotonic()
    yield "retry: 1000\n\n"
    while not closing.is_set() and time.monotonic() - began < LONGEST_SECONDS:
        try:
            seen = await run_in_threadpool(look)
        except CounterfoilError as error:
            _log.warning("live progress ends", error=str(error))
            yield _message("end", "")
            return
        if seen.html != shown:
            shown, sent_at = seen.html, time.monotonic()
            yield _message(event, seen.html)
        elif time.monotonic() - sent_at > ALIVE_SECONDS:
            sent_at = time.monotonic()
            yield ": alive\n\n"
        if seen.last:
            yield _message("end", "")
            return
        await asyncio.sleep(every_seconds)


def _message(event: str, data: str) -> str:
    # One `data:` per line: an empty line would end the message.
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {event}\n{lines}\n"
