"""One event loop in a daemon thread per process, started at first use. The rest of the program is synchronous.

`run` and `stream` are its entry points. The calling thread waits on a lock; an interrupt of it cancels the task.
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

#: Maximum wait for a cancelled task to clean up; after that, the cleanup continues in the daemon thread.
CANCEL_SECONDS = 5.0
#: Interval between the calls of `check` while waiting.
ASK_SECONDS = 0.5


class _Thread:
    """The event loop and its thread."""

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
        """Detaches a forked child from the parent's sockets, so that its garbage collector cannot close them.

        The child shares the parent's sockets and the kernel's list of the sockets that the parent waits for. If the
        child removed a socket from that list, the parent would wait until its timeout.
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
    """The file descriptor of a selector, if it has one."""
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
            raise RuntimeError("called from the event loop's own thread, which would deadlock")
        return _current


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


class _Task(Generic[T]):
    """A task on the event loop, used from another thread. `inbox` receives its items, then None when it is done."""

    def __init__(self, start: Callable[[_Task[T]], Coroutine[Any, Any, Any]]) -> None:
        self.inbox: queue.SimpleQueue[_Item[T] | None] = queue.SimpleQueue()
        self._thread = _started()
        self._start = start
        self._task: asyncio.Task[Any] | None = None

    def start(self) -> None:
        # The task runs in the caller's context, which includes the fields bound to its log lines.
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
        """The result of a finished task; raises the task's exception with its traceback."""
        return self._task.result() if self._task else None

    def cancel(self) -> None:
        """Cancels the task and waits until it has cleaned up."""
        if not self._thread.thread.is_alive():
            return  # in a forked child: the task continues in the parent
        self.call(self._cancel)
        if threading.current_thread() is self._thread.thread:
            return  # the garbage collector can close an abandoned stream on any thread
        try:
            while self.inbox.get(timeout=CANCEL_SECONDS) is not None:
                pass
        except queue.Empty:
            pass


def run(coroutine: Coroutine[Any, Any, T], *, check: Callable[[], None] | None = None) -> T:
    """The coroutine's result. An interrupt of the waiting thread or an exception of `check` cancels the coroutine."""
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
    """The items in order; at most `buffer` items are produced ahead of the consumer.

    The async iterator is created at the first `next`. It is closed before this generator ends, whether by its end,
    `close`, an exception or an interrupt. `check` is called while no item is available, and raises to stop waiting.
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
            close = None  # the event loop no longer runs, so the iterator cannot be closed
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
