"""What checks ask of Stripe: single answers and lists, between whose pages a signal can end the waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

from counterfoil.extract import Warnings
from counterfoil.extract.listing import read_listing
from counterfoil.extract.streams import chunked, gather
from counterfoil.http.async_bridge import stream
from counterfoil.reports.report import Listing
from counterfoil.stripe.client import Client
from counterfoil.values import Page, StripeObject, Window

T = TypeVar("T")

#: Single answers that are waited for together; the client keeps to Stripe's rates.
_SIDE_BY_SIDE = 50


class StripeRequests:
    """Asks with one client; what `check` raises, which is called while nothing comes, ends the waiting.

    `requests` is how many a cheap check may spend; None for as many as it takes.
    """

    def __init__(self, client: Client, *, check: Callable[[], None] | None = None, requests: int | None = None) -> None:
        self.client = client
        self.check = check
        self._most = requests
        self._before = client.requests.total()

    @property
    def date(self) -> int:
        """Stripe's clock at its latest answer, in Unix seconds."""
        return self.client.date

    @property
    def spent(self) -> int:
        """Requests so far."""
        return self.client.requests.total() - self._before

    def affords(self, requests: int) -> bool:
        """Whether so many more may be asked."""
        return self._most is None or self.spent + requests <= self._most

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> StripeObject:
        """One object; raises what the client does."""

        async def ask() -> StripeObject:
            return (await self.client.get(path, params)).body

        return self.wait(ask)

    def wait(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The result of what is asked on the client's loop."""

        async def asked() -> AsyncIterator[T]:
            yield await ask()

        with closing(stream(asked, check=self.check)) as answers:
            return next(answers)

    def wait_each(self, asks: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """The same of many, side by side, in their order; what the first of those that fail raises."""

        async def asked() -> AsyncIterator[list[T]]:
            for some in chunked(asks, _SIDE_BY_SIDE):
                yield await gather([ask() for ask in some])

        with closing(stream(asked, check=self.check)) as answers:
            return [one for some in answers for one in some]

    def pages(self, listing: Listing, window: Window, params: Mapping[str, Any] | None = None) -> Iterator[Page]:
        """A list's pages in the order of their arrival."""
        notices = Warnings()

        def ask() -> AsyncIterator[Page]:
            return read_listing(self.client, listing, window, notices=notices, params=params)

        # No more is read ahead than a page: whoever asks may have seen enough.
        with closing(stream(ask, buffer=1, check=self.check)) as pages:
            yield from pages
