"""Merges streams of pages, and runs coroutines concurrently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any, TypeVar

from counterfoil.values import Page

T = TypeVar("T")
Pages = AsyncGenerator[Page, None]


async def merge_streams(streams: Sequence[Pages]) -> Pages:
    """The pages of all streams, in the order of their arrival; the first error ends all of them."""
    arrived: asyncio.Queue[Page | None] = asyncio.Queue(maxsize=1)
    left = asyncio.Event()

    async def forward(stream: Pages) -> None:
        async with aclosing(stream):
            async for page in stream:
                await arrived.put(page)

    async def forward_all() -> None:
        try:
            await gather([forward(stream) for stream in streams])
        finally:
            if not left.is_set():
                await arrived.put(None)

    forwarding = asyncio.create_task(forward_all())
    try:
        while (page := await arrived.get()) is not None:
            yield page
        await forwarding
    finally:
        left.set()
        forwarding.cancel()
        await asyncio.gather(forwarding, return_exceptions=True)


async def gather(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; the first error cancels the other coroutines and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def chunked(items: Iterable[T], most: int) -> Iterator[tuple[T, ...]]:
    """Chunks of at most `most` items."""
    left = iter(items)
    while some := tuple(islice(left, most)):
        yield some
