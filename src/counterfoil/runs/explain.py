"""Explains a pull: how it reads its report, the estimated cost before it starts, and the actual cost after it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from counterfoil.archive import Ledger
from counterfoil.extract.estimates.estimate import Estimate, estimate
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union
from counterfoil.runs.plans.overwrite_check import narrowed_by
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client

#: Stripe's minimum allowance of read requests per account and month. https://docs.stripe.com/rate-limits
MONTHLY_READS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCost:
    """The estimated or actual cost of a pull."""

    windows: int
    rows: int
    requests: int
    seconds: float
    #: Share of the monthly allowance of read requests.
    share_of_month: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected(RequestCost):
    """An estimate, with a range for the number of rows."""

    rows_from: int
    rows_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A pull's estimated cost and, once it has run, its actual cost."""

    report: str
    #: How the report is read, in words.
    how: str
    #: Requests that the estimate took; neither cost includes them.
    looks: int
    estimated: Expected
    #: None before the pull has run.
    actual: RequestCost | None = None


Explain = Callable[[Explanation], None]


class Explainer:
    """Estimates the cost of a plan's pages that are not archived yet, and measures it; does nothing without `tell`.

    The estimate takes one request, or a few for a long list.
    """

    def __init__(self, client: Client, plan: Plan, settings: Settings, kept: Ledger, tell: Explain | None) -> None:
        self._client = client
        self._told: Explanation | None = None
        if tell is not None:
            asked = estimate(client, plan.report, plan.window, params=plan.params, limit=plan.limit, settings=settings)
            found = wait_for(asked)
            expected = _expected(found, kept)
            self._told = Explanation(report=plan.report.key, how=how(plan), looks=found.looks, estimated=expected)
            tell(self._told)
        self._before = Counter(client.requests)
        self._started = time.monotonic()

    def ended(self, ledger: Ledger) -> Explanation | None:
        """The explanation with the actual cost; None without `tell`."""
        if self._told is None:
            return None
        spent = self._client.requests - self._before
        actual = RequestCost(
            # A list with a limit has one window, which never completes.
            windows=sum(max(1, len(coverage.complete)) for coverage in ledger.sources.values()),
            rows=sum(coverage.rows for coverage in ledger.sources.values()),
            requests=spent.total(),
            seconds=round(time.monotonic() - self._started, 3),
            share_of_month=_share(sum(count for endpoint, count in spent.items() if endpoint.startswith("GET "))),
        )
        return replace(self._told, actual=actual)


def _expected(found: Estimate, kept: Ledger) -> Expected:
    left = max(1, found.requests - kept.pages) / found.requests
    return Expected(
        windows=found.windows,
        rows=found.rows,
        rows_from=min(found.rows, max(found.least, found.rows - found.doubt)),
        rows_to=found.rows + found.doubt,
        requests=round(found.requests * left),
        seconds=round(found.seconds * left, 1),
        share_of_month=_share(found.reads * left),
    )


def _share(reads: float) -> float:
    return round(reads / MONTHLY_READS, 4)


def how(plan: Plan) -> str:
    """How the report is read, in words."""
    return f"{', '.join(_steps(plan.report, chain=plan.limit is not None))}{narrowed_by(plan)}"


def _steps(report: Report, *, chain: bool) -> Iterator[str]:
    source = report.source
    match source:
        case Singleton():
            yield f"one request to {source.path}"
            if source.buckets:
                yield "a row for each amount in it"
        case Listing():
            yield from _listing_steps((source,), chain=chain or source.created is None)
        case Union():
            yield from _listing_steps(tuple(source.listings.values()), chain=chain)
            yield "in one table"
        case Collected():
            yield "objects embedded in other lists, each once"
            yield from _listing_steps(tuple(place.listing for place in source.places), chain=False)
        case Preview():
            yield f"a POST to {source.path} for each object that will be invoiced"
            yield from _listing_steps(tuple(one.listing for one in source.previewed), chain=False)


def _listing_steps(listings: tuple[Listing, ...], *, chain: bool) -> Iterator[str]:
    paths = [listing.path for listing in listings]
    yield f"{' and '.join((', '.join(paths[:-1]), paths[-1])) if len(paths) > 1 else paths[0]} in pages of 100"
    yield "one after the other, newest first" if chain else "in parallel windows of `created`"
    if lists := sorted({name for listing in listings for name in listing.lists}):
        yield f"all {' and '.join(lists)} of each object"
