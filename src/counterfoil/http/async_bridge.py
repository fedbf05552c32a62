"""One event loop in one daemon thread per process, started at first use; the rest of the program is synchronous.

`run` and `stream` are the two doors into it. Whoever waits at a door sleeps on a lock, and leaves by cancelling.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import queue
import selectors
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: How long a door waits for what it cancelled to clean up, before it leaves that to the daemon thread.
CANCEL_SECONDS = 5.0
#: How often whoever waits at a door asks whether to go on waiting.
ASK_SECONDS = 0.5


class _Thread:
    """The loop, its thread, and the way to end both."""

    def __init__(self) -> None:
        ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._selector = selectors.DefaultSelector()
        self.thread = threading.Thread(target=self._run, args=(ready,), name="counterfoil-loop", daemon=True)
        self.thread.start()
        self.loop, self._stopped = ready.result()

    def _run(self, ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(self._selector)) as runner:
            runner.run(_serve(ready))

    def detach(self) -> None:
        """In a forked child: whatever its garbage collector closes there is no longer the parent's.

        The child shares the parent's sockets, and the kernel's list of those that the parent waits for: a socket that
        the child takes from that list would leave the parent waiting until its time is up.
        """
        nowhere = os.open(os.devnull, os.O_RDWR)
        for file in (*(key.fd for key in self._selector.get_map().values()), _number(self._selector)):
            if file is not None:
                os.dup2(nowhere, file, inheritable=False)
        os.close(nowhere)
        self.loop.set_exception_handler(lambda _loop, _context: None)

    def stop(self) -> None:
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self._stopped.set)
            self.thread.join(CANCEL_SECONDS)


def _number(selector: selectors.BaseSelector) -> int | None:
    """The descriptor of a selector that has one."""
    fileno: Callable[[], int] | None = getattr(selector, "fileno", None)
    return fileno() if fileno is not None else None


async def _serve(ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    stopped = asyncio.Event()
    ready.set_result((asyncio.get_running_loop(), stopped))
    await stopped.wait()


_lock = threading.Lock()
_current: _Thread | None = None


def _forget() -> None:
    global _lock, _current
    inherited, _lock, _current = _current, threading.Lock(), None
    if inherited is not None:
        inherited.detach()


if hasattr(os, "register_at_fork"):
    # Another thread may have held the lock when the process forked, and its loop's thread is not in the child.
    os.register_at_fork(after_in_child=_forget)


def _started() -> _Thread:
    global _current  # noqa: PLW0603 - one loop per process is the point
    with _lock:
        if _current is None or not _current.thread.is_alive():
            _current = _Thread()
            atexit.register(_current.stop)
        if threading.current_thread() is _current.thread:
            raise RuntimeError("called from the event loop's own thread, which would wait for itself")
        return _current


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


class _Task(Generic[T]):
    """A task on the loop as another thread sees it: what it sends, and that it is done, come out of `inbox`."""

    def __init__(self, start: Callable[[_Task[T]], Coroutine[Any, Any, Any]]) -> None:
        self.inbox: queue.SimpleQueue[_Item[T] | None] = queue.SimpleQueue()
        self._thread = _started()
        self._start = start
        self._task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        # The caller's context comes along, and with it what is bound to its log lines.
        self.call(self._create, context=contextvars.copy_context())

    def call(self, function: Callable[..., Any], *, context: contextvars.Context | None = None) -> None:
        self._thread.loop.call_soon_threadsafe(function, context=context)

    def _create(self) -> None:
        self._task = self._thread.loop.create_task(self._start(self))
        self._task.add_done_callback(lambda _: self.inbox.put(None))

    def _cancel(self) -> None:
        if self._task is None:
            self.inbox.put(None)  # interrupted before it was started
        else:
            self._task.cancel()

    def result(self) -> Any:
        """What the task returned; its exception is raised with its own traceback. Only once it is done."""
        return self._task.result() if self._task else None

    def cancel(self) -> None:
        """Cancels the task and waits until it has cleaned up."""
        if not self._thread.thread.is_alive():
            return  # in a forked child: the task goes on in the parent
        self.call(self._cancel)
        if threading.current_thread() is self._thread.thread:
            return  # the garbage collector closes a forgotten stream on whatever thread it runs
        try:
            while self.inbox.get(timeout=CANCEL_SECONDS) is not None:
                pass
        except queue.Empty:
            pass


def run(coroutine: Coroutine[Any, Any, T], *, check: Callable[[], None] | None = None) -> T:
    """The coroutine's result. An interrupt of the waiting thread cancels it, and so does a `check` that raises."""
    try:
        task: _Task[T] = _Task(lambda _: coroutine)
    except RuntimeError:
        coroutine.close()
        raise
    try:
        task.start()
        _received(task.inbox, check)
    except BaseException:
        task.cancel()
        raise
    result: T = task.result()
    return result


def stream(
    make_async_iterator: Callable[[], AsyncIterator[T]], *, buffer: int = 8, check: Callable[[], None] | None = None
) -> Generator[T, None, None]:
    """The items in order; at most `buffer` are made ahead of the consumer.

    The async iterator is made at the first `next`. However the consumer leaves (end, close, exception, interrupt), it
    is closed before this returns. `check` is called while there is nothing to give, and raises to end the waiting.
    """
    room = asyncio.Semaphore(buffer)

    async def produce(task: _Task[T]) -> None:
        iterator = make_async_iterator()
        close = getattr(iterator, "aclose", None)
        try:
            await room.acquire()
            async for item in iterator:
                task.inbox.put(_Item(item))
                await room.acquire()
        except GeneratorExit:
            close = None  # thrown away with a loop that no longer runs: there is nothing to wait for
            raise
        finally:
            if close is not None:
                await close()

    task = _Task(produce)
    try:
        task.start()
        while (item := _received(task.inbox, check)) is not None:
            task.call(room.release)
            yield item.value
    except BaseException:
        task.cancel()
        raise
    task.result()


def _received(inbox: queue.SimpleQueue[_Item[T] | None], check: Callable[[], None] | None) -> _Item[T] | None:
    while check is not None:
        try:
            return inbox.get(timeout=ASK_SECONDS)
        except queue.Empty:
            check()
    return inbox.get()
