"""The API requests of checks: single objects and lists. A signal can interrupt the wait for each response."""

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

#: Single objects that are requested together. The client respects Stripe's rate limits.
_SIDE_BY_SIDE = 50


class StripeRequests:
    """Sends requests with one client. `check` is called while waiting; an exception that it raises ends the wait.

    `requests` is the limit for cheap checks; None for no limit.
    """

    def __init__(self, client: Client, *, check: Callable[[], None] | None = None, requests: int | None = None) -> None:
        self.client = client
        self.check = check
        self._most = requests
        self._before = client.requests.total()

    @property
    def date(self) -> int:
        """Stripe's clock at the latest response, in Unix seconds."""
        return self.client.date

    @property
    def spent(self) -> int:
        """Number of requests so far."""
        return self.client.requests.total() - self._before

    def affords(self, requests: int) -> bool:
        """Whether the limit allows `requests` more requests."""
        return self._most is None or self.spent + requests <= self._most

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> StripeObject:
        """One object; raises the client's exceptions."""

        async def ask() -> StripeObject:
            return (await self.client.get(path, params)).body

        return self.wait(ask)

    def wait(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The result of a coroutine on the client's event loop."""

        async def asked() -> AsyncIterator[T]:
            yield await ask()

        with closing(stream(asked, check=self.check)) as answers:
            return next(answers)

    def wait_each(self, asks: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """The results of several coroutines, run concurrently, in order; raises the first exception."""

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

        # Only one page is read ahead, because the caller may stop early.
        with closing(stream(ask, buffer=1, check=self.check)) as pages:
            yield from pages
