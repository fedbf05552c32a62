"""Several streams of pages as one, each page as soon as it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress

from counterfoil.values import Page

Pages = AsyncGenerator[Page, None]


async def side_by_side(streams: Sequence[Pages]) -> Pages:
    """The pages of all streams, in the order of their arrival; the first error ends all of them."""
    arrived: asyncio.Queue[Page | Exception | None] = asyncio.Queue(maxsize=1)

    async def forward(stream: Pages) -> None:
        async with aclosing(stream):
            async for page in stream:
                await arrived.put(page)

    async def forward_all() -> None:
        end: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for stream in streams:
                    group.create_task(forward(stream))
        except ExceptionGroup as failures:
            end = failures.exceptions[0]
        await arrived.put(end)

    forwarding = asyncio.create_task(forward_all())
    try:
        while (page := await arrived.get()) is not None:
            if isinstance(page, Exception):
                raise page
            yield page
    finally:
        forwarding.cancel()
        with suppress(asyncio.CancelledError):
            await forwarding
