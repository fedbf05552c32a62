"""The two entry points of the event loop: `run` and `stream`."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
import traceback
from collections.abc import AsyncIterator

import pytest
import structlog

from counterfoil.http import async_bridge


async def running_thread() -> threading.Thread:
    return threading.current_thread()


def interrupt_main_thread() -> None:
    """Sends the signal of Ctrl-C."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class Numbers:
    """An async iterator that records its progress and whether it was closed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.produced = 0
        self.closed = threading.Event()
        self.full = threading.Event()

    async def __call__(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                self.produced += 1
                if self.produced == 8:
                    self.full.set()
                yield number
        finally:
            await asyncio.sleep(0)
            self.closed.set()


def test_run_returns_the_result_of_a_coroutine() -> None:
    assert async_bridge.run(asyncio.sleep(0, "done")) == "done"


def test_all_callers_share_one_daemon_thread() -> None:
    thread = async_bridge.run(running_thread())
    assert thread is async_bridge.run(running_thread())
    assert thread.daemon
    assert thread is not threading.current_thread()


def test_run_raises_the_exception_of_the_coroutine_with_its_traceback() -> None:
    async def fail() -> None:
        raise LookupError("lost")

    with pytest.raises(LookupError, match="lost") as caught:
        async_bridge.run(fail())
    assert "in fail" in "".join(traceback.format_exception(caught.value))


def test_run_on_the_loop_thread_raises_instead_of_deadlocking() -> None:
    async def from_inside() -> None:
        async_bridge.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="own thread"):
        async_bridge.run(from_inside())


def test_interrupt_cancels_the_coroutine_and_waits_for_its_cleanup() -> None:
    cleaned = threading.Event()

    async def wait_long() -> None:
        interrupt_main_thread()
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    with pytest.raises(KeyboardInterrupt):
        async_bridge.run(wait_long())
    assert cleaned.is_set()


def test_coroutine_has_the_log_context_of_its_caller() -> None:
    async def bound() -> dict[str, object]:
        return structlog.contextvars.get_contextvars()

    with structlog.contextvars.bound_contextvars(run="run_1"):
        assert async_bridge.run(bound()) == {"run": "run_1"}


@pytest.mark.parametrize("count", [0, 1, 8, 9, 1000])
def test_stream_yields_every_item_once_in_order(count: int) -> None:
    numbers = Numbers(count)
    assert list(async_bridge.stream(numbers)) == list(range(count))
    assert numbers.closed.is_set()


def test_stream_produces_at_most_its_buffer_ahead() -> None:
    numbers = Numbers(1000)
    stream = async_bridge.stream(numbers, buffer=8)
    assert next(stream) == 0
    numbers.full.wait()
    async_bridge.run(asyncio.sleep(0))
    assert numbers.produced <= 1 + 8
    assert list(stream) == list(range(1, 1000))


def test_stream_starts_at_the_first_next() -> None:
    numbers = Numbers(3)
    async_bridge.stream(numbers)
    async_bridge.run(asyncio.sleep(0))
    assert numbers.produced == 0


def test_closing_a_stream_closes_the_iterator_before_it_returns() -> None:
    numbers = Numbers(1000)
    stream = async_bridge.stream(numbers)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert numbers.closed.is_set()
    assert numbers.produced < 1000


def test_closing_a_stream_cancels_a_waiting_iterator() -> None:
    cancelled = threading.Event()

    async def one_then_silence() -> AsyncIterator[int]:
        yield 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    for _ in async_bridge.stream(one_then_silence):
        break
    gc.collect()
    assert cancelled.is_set()


def test_an_error_in_the_consumer_closes_the_iterator() -> None:
    numbers = Numbers(1000)
    stream = async_bridge.stream(numbers)
    with pytest.raises(ZeroDivisionError):
        [1 / number for number in stream]
    stream.close()  # type: ignore[attr-defined]
    assert numbers.closed.is_set()


def test_stream_yields_the_items_before_an_error_and_keeps_its_traceback() -> None:
    async def three_then_fail() -> AsyncIterator[int]:
        for number in range(3):
            yield number
        raise LookupError("lost")

    got: list[int] = []
    with pytest.raises(LookupError) as caught:
        got.extend(async_bridge.stream(three_then_fail, buffer=1))
    assert got == [0, 1, 2]
    assert "three_then_fail" in "".join(traceback.format_exception(caught.value))


def test_an_interrupt_of_the_consumer_closes_the_iterator() -> None:
    closed = threading.Event()

    async def interrupt() -> AsyncIterator[int]:
        try:
            yield 1
            asyncio.get_running_loop().call_later(0.05, interrupt_main_thread)  # by then the consumer waits
            await asyncio.sleep(60)
        finally:
            closed.set()

    with pytest.raises(KeyboardInterrupt):
        for _ in async_bridge.stream(interrupt):
            pass
    assert closed.is_set()


def test_iterator_without_aclose_is_streamed() -> None:
    class Plain:
        left = 3

        def __aiter__(self) -> AsyncIterator[int]:
            return self

        async def __anext__(self) -> int:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return self.left

    assert list(async_bridge.stream(Plain)) == [2, 1, 0]


def test_two_streams_can_be_read_alternately() -> None:
    assert list(zip(async_bridge.stream(Numbers(50)), async_bridge.stream(Numbers(50)), strict=True)) == [
        (n, n) for n in range(50)
    ]


def test_stream_dropped_on_the_loop_thread_does_not_block_it() -> None:
    numbers = Numbers(1000)
    streams = [async_bridge.stream(numbers)]
    next(streams[0])

    async def forget() -> None:
        streams.clear()

    async_bridge.run(forget())
    assert numbers.closed.wait(10)


def test_waiting_takes_no_processor_time() -> None:
    async def silence() -> AsyncIterator[int]:
        await asyncio.sleep(0.2)
        yield 1

    before = time.thread_time()
    assert list(async_bridge.stream(silence)) == [1]
    assert time.thread_time() - before < 0.05
