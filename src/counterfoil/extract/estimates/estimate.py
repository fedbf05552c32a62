"""Estimates the rows, requests and seconds of a pull before it starts, from a few sample pages.

`sampling.py` estimates the rows of a list; the rest is arithmetic with constants observed on lists of many kinds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterfoil.errors import AccountError, RunError
from counterfoil.extract.collected import found_at
from counterfoil.extract.estimates.sampling import Sampling
from counterfoil.extract.listing import list_page
from counterfoil.extract.singleton import read_object, rows_of
from counterfoil.extract.streams import gather
from counterfoil.extract.windows import PAGE_ROWS
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.rates import FIRST_SLOTS, LIVE_RATE, TEST_RATE
from counterfoil.values import StripeObject, Window

#: Duration of a request, if no page could be sampled.
_PAGE_SECONDS = 0.2
#: Time to process a row, from the socket to the table; matters only if Stripe's rates are not the limit.
_ROW_SECONDS = 0.0002
#: Time to open, write and commit the smallest table.
_LEAST_SECONDS = 0.1
#: Rounds of requests in which not all slots are busy, at the start and at the end.
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated cost of a pull. `looks` is the number of requests for the estimate itself."""

    windows: int
    rows: int
    #: The uncertainty in rows, and the number of rows in the samples.
    doubt: int
    least: int
    requests: int
    #: The requests that Stripe counts as reads.
    reads: int
    seconds: float
    looks: int


@dataclass(slots=True)
class Listed:
    """The estimate of one list."""

    windows: float = 1
    rows: float = 0
    doubt: float = 0
    #: Rows in the samples.
    least: int = 0
    requests: float = 1
    page_seconds: float = _PAGE_SECONDS
    looks: int = 0
    #: The objects of all sample pages.
    sample: list[StripeObject] = field(default_factory=list)
    #: None if the list could not be sampled.
    sampling: Sampling | None = None

    def share(self, count: int) -> float:
        """The number of rows in the list that corresponds to `count` rows in the sample."""
        return self.rows * count / max(len(self.sample), 1)

    def become(self, count: int) -> None:
        """Counts other objects than the list's as rows; `count` is their number in the sample."""
        self.rows, self.doubt, self.least = self.share(count), self.doubt * count / max(len(self.sample), 1), 0


async def estimate(
    client: Client, report: Report, window: Window, *, params: Mapping[str, str], limit: int | None, settings: Settings
) -> Estimate:
    """The estimate of a pull. A list that Stripe refuses counts as empty; the pull itself raises the error."""
    source = report.source
    look = Sampler(client, window, limit, settings)
    posts = 0.0
    match source:
        case Singleton():
            listed = [await _singleton(client, source)]
        case Listing():
            listed = [await look.at(source, params)]
        case Union():
            listed = await gather([look.at(one, params) for one in source.listings.values()])
        case Collected():
            look = Sampler(client, Window(), None, settings)
            listed = await gather([look.at(place.listing, {}) for place in source.places])
            for one, place in zip(listed, source.places, strict=True):
                one.become(_embedded(one, place.at))
        case Preview():
            look = Sampler(client, Window(), None, settings)
            listed = await gather([look.at(one.listing, {}) for one in source.previewed])
            for one, previewed in zip(listed, source.previewed, strict=True):
                one.become(sum(row.get("status") in previewed.statuses for row in one.sample))
            posts = sum(one.rows for one in listed)
    return _summed(listed, posts, limit, settings, live_key=client.livemode)


async def _singleton(client: Client, source: Singleton) -> Listed:
    if not source.buckets:
        return Listed(rows=1, least=1)
    answer = await read_object(client, source)
    rows = len(rows_of(answer.body, source.buckets))
    return Listed(rows=rows, least=rows, looks=1)


def _summed(
    listed: Sequence[Listed], posts: float, limit: int | None, settings: Settings, *, live_key: bool
) -> Estimate:
    rows, reads = sum(one.rows for one in listed), sum(one.requests for one in listed)
    endpoint_rate, account_rate = _rates(settings, live_key=live_key)
    slowest = max(one.page_seconds for one in listed)
    # The lists of a report are read in parallel; previews have an endpoint of their own.
    longest = max(_seconds(one.requests, one.page_seconds, endpoint_rate, settings.in_flight) for one in listed)
    asking = max(longest + posts * max(1 / endpoint_rate, slowest / settings.in_flight), (reads + posts) / account_rate)
    return Estimate(
        windows=sum(math.ceil(one.windows) for one in listed),
        rows=round(rows if limit is None else min(rows, limit)),
        doubt=round(math.sqrt(sum(one.doubt**2 for one in listed))),
        least=sum(one.least for one in listed),
        requests=math.ceil(reads + posts),
        reads=math.ceil(reads),
        seconds=_LEAST_SECONDS + max(asking, rows * _ROW_SECONDS),
        looks=sum(one.looks for one in listed),
    )


def _seconds(requests: float, page_seconds: float, rate: float, in_flight: int) -> float:
    rounds = min(_ROUNDS, 1 + math.log2(max(requests, 1)))
    return requests * max(1 / rate, page_seconds / in_flight) + rounds * page_seconds


def _rates(settings: Settings, *, live_key: bool) -> tuple[float, float]:
    account = (settings.rate_global or (LIVE_RATE if live_key else TEST_RATE)) * settings.rate_share
    return min(settings.rate_endpoint * settings.rate_share, account), account


def _embedded(listed: Listed, paths: Sequence[Sequence[str]]) -> int:
    """The number of distinct objects embedded in the sample."""
    found = (one for path in paths for one in found_at(listed.sample, ("*", *path)))
    return len({one if isinstance(one, str) else one.get("id") for one in found})


@dataclass(frozen=True, slots=True)
class Sampler:
    """Samples lists in one window."""

    client: Client
    window: Window
    limit: int | None
    settings: Settings
    #: Samples of each list in addition to those for an estimate.
    more: int = 0

    async def at(self, listing: Listing, params: Mapping[str, str]) -> Listed:
        """The estimate of a list from its newest page and, if that is not enough, from older pages."""
        sampling, listed = Sampling(self.window.since, more=self.more), Listed()
        seconds = 0.0
        instants: Sequence[int | None] = [self.window.until]
        while instants:
            started = time.monotonic()
            pages = await gather([self._look(listing, params, until) for until in instants])
            seconds += time.monotonic() - started
            for until, page in zip(instants, pages, strict=True):
                listed.looks += 1
                if page is None:
                    return Listed(looks=listed.looks)
                listed.sample += page[0]
                sampling.add(until, [_created(listing, row) for row in page[0]], has_more=page[1])
            one_chain = self.limit is not None or listing.created is None
            listed.page_seconds = min(seconds, time.monotonic() - started)
            instants = [] if one_chain else sampling.next()
        listed.sampling = sampling
        self._judge(listed, sampling, listing)
        return listed

    def _judge(self, listed: Listed, sampling: Sampling, listing: Listing) -> None:
        """Sets rows, windows and requests."""
        listed.least = len({row.get("id") for row in listed.sample})
        exact = sampling.count == 1 and not sampling.goes_on
        listed.rows = len(listed.sample) if exact else sampling.rows
        if self.limit is not None:
            # The number of rows beyond the newest page is unknown until they are read.
            listed.rows = min(self.limit, listed.rows) if exact else self.limit
            listed.least = min(self.limit, listed.least)
        elif not exact:
            listed.doubt = sampling.doubt
        pages = max(1.0, listed.rows / PAGE_ROWS)
        if pages > 1 and self.limit is None:
            slots = min(self.settings.in_flight, max(FIRST_SLOTS, self._rate * listed.page_seconds))
            # The search for the oldest object takes additional windows and requests.
            search = 5 if self.window.since is None else 0
            listed.windows = min(pages / 2 + 3, 1.6 * slots + search)
            listed.requests = math.ceil(pages + 0.55 * (listed.windows - 1) + search / 2)
        else:
            listed.requests = math.ceil(pages)
        cut = sum(_goes_on(row.get(name)) for row in listed.sample for name in listing.lists)
        listed.requests += listed.share(cut)

    @property
    def _rate(self) -> float:
        return _rates(self.settings, live_key=self.client.livemode)[0]

    async def _look(
        self, listing: Listing, params: Mapping[str, str], until: int | None
    ) -> tuple[list[StripeObject], bool] | None:
        """The newest page before the instant, and whether more follow; None if Stripe refuses the request."""
        asked: dict[str, Any] = {**listing.params, **params, "limit": PAGE_ROWS}
        if listing.created is not None:
            asked |= {} if self.window.since is None else {"created[gte]": self.window.since}
            asked |= {} if until is None else {"created[lt]": until}
        if listing.expand:
            asked["expand"] = list(listing.expand)
        try:
            answer = await self.client.get(listing.path, asked, version=listing.api_version)
        except (AccountError, RunError):
            return None
        return list_page(answer.body, listing.path)


def _created(listing: Listing, row: StripeObject) -> int:
    created = row.get(listing.created) if listing.created else 0
    return created if isinstance(created, int) else 0


def _goes_on(embedded: Any) -> bool:
    return isinstance(embedded, dict) and bool(embedded.get("has_more"))
