"""Plans the page requests of a listing, so that many can be in flight and each object is read once.

No I/O and no clock: `request` returns the next request, `answer` processes a response. A listing starts as one chain of
pages, newest first. When a slot is free, the chain with the most pages left is split: a new chain takes the older part
of its unread range. Order and cursors: https://docs.stripe.com/api/pagination. `created` has a resolution of a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import inf

from counterfoil.errors import StripeUnavailable
from counterfoil.extract.identifiers import Identifiers
from counterfoil.values import Position, StripeObject, Window

PAGE_ROWS = 100

#: A chain with fewer estimated pages left is not split: the last page of each additional chain is only half full.
FEWEST_PAGES_TO_CUT = 4
#: With this many requests in flight, pages are slow. Then waiting for the last chains costs more than half-full pages.
MANY_IN_FLIGHT = 16
FEWEST_PAGES_OF_MANY = 2
#: A chain without a page yet is split by its parent's density, and only if at least this many pages are expected.
FEWEST_PAGES_UNSEEN = 16

#: Initial lower bound in the search for the oldest object of an unbounded window; older objects are still found.
FIRST_YEAR = 1_293_840_000  # 2011-01-01, the year in which Stripe opened


HALF = 0.5

#: Maximum number of restarts of one chain without a new row in between.
MOST_RESTARTS = 100


@dataclass(slots=True, eq=False)
class Chain:
    """Consecutive pages of one window. `since` rises when the chain is split and a child takes the older part."""

    since: int | None
    until: int | None
    parent: Chain | None = None
    #: The last row listed, and the row before it. The next page is requested after `before`, so it must begin with the
    #: last row listed. This reveals responses that skip or repeat rows.
    cursor: str | None = None
    before: str | None = None
    #: Restarts since the last new row. A chain restarts when its cursor was deleted.
    restarts: int = 0
    #: Whether rows of the second `oldest` can appear again: after a restart, or when an interrupted reading resumes.
    restarted: bool = False
    #: `created` of the newest and of the oldest row seen.
    newest: int | None = None
    oldest: int | None = None
    rows: int = 0
    #: The parent's rows per second, used as an estimate until the chain's first page.
    inherited_density: float = 0.0
    done: bool = False
    #: Whether the last child was empty. Then this chain is denser than estimated and is not split before its next page.
    on_hold: bool = False
    #: The share of its remaining time that the chain keeps at a split. Empty children shrink it fast, so a gap of years
    #: costs only a few requests.
    keeps: float = HALF
    #: Ids of the rows in the second `oldest`, at which the chain restarts when its cursor was deleted.
    last_second: set[str] = field(default_factory=set)

    def floor(self) -> int:
        """The lowest known bound of `created` for the rest of the chain."""
        if self.since is not None:
            return self.since
        top = self.top()
        return FIRST_YEAR if top is not None and top > FIRST_YEAR else 0

    def learn(self, *, empty: bool) -> None:
        """Adjusts the chain to the first page of its child."""
        self.on_hold = self.on_hold or empty
        self.keeps = self.keeps**2 if empty else HALF

    def top(self) -> int | None:
        """The highest possible `created` in the rest of the chain; None if unknown."""
        return self.until if self.oldest is None else self.oldest

    @property
    def seen(self) -> bool:
        """Whether the chain has received a page."""
        return self.oldest is not None

    def density(self) -> float:
        """Rows per second."""
        if self.oldest is None or self.newest is None:
            return self.inherited_density
        return self.rows / (self.newest - self.oldest + 1)

    def pages_left(self) -> float:
        """Estimated number of pages left, from the density of the rows read so far."""
        top = self.top()
        return 0 if top is None else self.density() * (top - self.floor()) / PAGE_ROWS

    def can_give(self, fewest: float) -> bool:
        """Whether enough pages are left to split the chain."""
        return not self.on_hold and self.pages_left() >= (fewest if self.seen else FEWEST_PAGES_UNSEEN)

    def position(self) -> Position | None:
        """The progress of the chain."""
        return None if self.cursor is None else Position(self.cursor, self.newest, self.oldest, self.rows)


@dataclass(frozen=True, slots=True)
class Reached:
    """The progress of an interrupted reading within one window."""

    window: Window
    #: None if the window was empty.
    position: Position | None
    done: bool
    #: Ids of the rows in the oldest second read.
    last_second: frozenset[str] = frozenset()
    #: The row listed before the last one, if known.
    before: str | None = None


def chains_left(window: Window, reached: Iterable[Reached]) -> list[Chain]:
    """The chains that read exactly the rest of the window, without the rows of earlier pages.

    Earlier windows are identified by their `until`, which never changes. If a window was split and its child had no
    page at the interruption, the window includes the child's range again.
    """
    known = sorted(reached, key=lambda one: inf if one.window.until is None else one.window.until, reverse=True)
    if not known:
        return [Chain(window.since, window.until)]
    chains = []
    for one, below in zip_longest(known, known[1:]):
        since = below.window.until if below else window.since
        if one.done:
            if one.window.since is not None and one.window.since != since:
                chains.append(Chain(since, one.window.since))
        elif one.position and (since is None or one.position.oldest is None or one.position.oldest >= since):
            at = one.position
            chains.append(
                Chain(
                    since,
                    one.window.until,
                    cursor=at.cursor,
                    before=one.before,
                    newest=at.newest,
                    oldest=at.oldest,
                    rows=at.listed,
                    last_second=set(one.last_second),
                    restarted=True,
                )
            )
    return chains


@dataclass(frozen=True, slots=True)
class Request:
    """A request for one page: the rows after `after` in the window."""

    chain: Chain
    window: Window
    #: The last row listed before this page.
    cursor: str | None
    after: str | None

    @property
    def first(self) -> str | None:
        """The row with which the page must begin; None if unknown."""
        return None if self.after == self.cursor else self.cursor


class Windows:
    """The chains that cover `window`. Every object in it is returned from exactly one chain.

    Without `created` there is one chain, which only identifiers bound: objects already `listed` must not appear again,
    and objects already `given` are dropped.
    """

    def __init__(
        self,
        window: Window,
        *,
        created: str | None = "created",
        parallel: bool = True,
        reached: Iterable[Reached] = (),
        listed: Iterable[str] = (),
        given: Iterable[str] = (),
    ) -> None:
        self._created = created
        self._parallel = parallel and created is not None
        self._waiting: deque[Chain] = deque(chains_left(window, reached))
        #: In the order of the requests, so that the same responses lead to the same splits.
        self._in_flight: dict[Chain, None] = {}
        self._most_in_flight = 0
        #: Whether chains without a page may be split by inherited density. The start of an unbounded list is unknown.
        self._hears = window.since is not None
        #: Splits by inherited density. Each may waste a request; at most three such splits per four slots are made.
        self._heard = 0
        #: For a list without `created`: rows of the chain, and rows read before it started.
        self._listed = Identifiers(listed)
        self._given = Identifiers(given)

    @property
    def done(self) -> bool:
        """Whether no chain waits and no request is in flight."""
        return not self._waiting and not self._in_flight

    def request(self) -> Request | None:
        """The next request; None if there is none until a response arrives."""
        if not self._waiting and not self._cut():
            return None
        chain = self._waiting.popleft()
        self._in_flight[chain] = None
        self._most_in_flight = max(self._most_in_flight, len(self._in_flight))
        return Request(chain, Window(chain.since, chain.until), chain.cursor, chain.before or chain.cursor)

    def seen(self, request: Request) -> Container[str]:
        """Identifiers that must not be on the page, except as its first row."""
        if self._created is None:
            return self._listed
        return () if request.chain.restarted else request.chain.last_second

    def answer(
        self, request: Request, objects: Sequence[StripeObject], *, has_more: bool, full: bool = False
    ) -> list[StripeObject]:
        """The objects of the page that are rows, in Stripe's order. The page must be valid, see `validation.py`.

        If the chain was split while the page was in flight, the child's objects are dropped. A `full` page with
        `has_more: false` is verified: the next request begins with its last row and shows whether more rows follow.
        """
        chain = request.chain
        self._in_flight.pop(chain, None)
        if chain.parent is not None and request.cursor is None:
            chain.parent.learn(empty=not objects)
        rows = objects[1:] if request.first is not None else objects
        if not rows:
            chain.done = True
            return []
        kept = self._kept(chain, rows)
        self._advance(chain, rows)
        if kept:
            chain.restarts = 0
        # If `has_more: false` is right, nothing is left to split.
        chain.on_hold = full and not has_more
        more = has_more or full
        if more and (chain.since is None or chain.oldest is None or chain.oldest >= chain.since):
            self._waiting.append(chain)
        else:
            chain.done = True
        return kept

    def cursor_lost(self, request: Request) -> None:
        """Restarts a chain after its cursor's row was deleted, at its oldest second or at the top."""
        chain = request.chain
        self._in_flight.pop(chain, None)
        chain.restarts += 1
        if request.cursor is None or chain.restarts > MOST_RESTARTS:
            raise StripeUnavailable(
                f"the list cannot be read after {request.cursor}: rows are deleted faster than they are read",
                hint="Run it again later.",
            )
        if self._created is None:
            self._given.update(self._listed)
            self._listed = Identifiers()
        elif chain.oldest is not None:
            chain.until = chain.oldest + 1
            chain.restarted = True
        chain.cursor = chain.before = None
        self._waiting.append(chain)

    def _kept(self, chain: Chain, rows: Sequence[StripeObject]) -> list[StripeObject]:
        if self._created is None:
            return [row for row in rows if row["id"] not in self._given] if self._given else list(rows)
        since, again, created = chain.since, chain.last_second, self._created
        if (since is None or rows[-1][created] >= since) and not chain.restarted:
            return list(rows)
        return [
            row
            for row in rows
            if (since is None or row[created] >= since) and not (row[created] == chain.oldest and row["id"] in again)
        ]

    def _advance(self, chain: Chain, rows: Sequence[StripeObject]) -> None:
        chain.before = rows[-2]["id"] if len(rows) > 1 else chain.cursor
        chain.cursor = rows[-1]["id"]
        chain.rows += len(rows)
        if self._created is None:
            self._listed.update(row["id"] for row in rows)
            return
        oldest = rows[-1][self._created]
        if chain.newest is None:
            chain.newest = rows[0][self._created]
        if oldest != chain.oldest:
            chain.last_second = set()
            chain.restarted = False
        chain.oldest = oldest
        for row in reversed(rows):
            if row[self._created] != oldest:
                break
            chain.last_second.add(row["id"])

    def _cut(self) -> bool:
        if not self._parallel:
            return False
        fewest = FEWEST_PAGES_TO_CUT if len(self._in_flight) < MANY_IN_FLIGHT else FEWEST_PAGES_OF_MANY
        hears = self._hears and 4 * self._heard < 3 * self._most_in_flight
        parents = (chain for chain in self._in_flight if (chain.seen or hears) and chain.can_give(fewest))
        parent = max(parents, key=Chain.pages_left, default=None)
        if parent is None or (top := parent.top()) is None:
            return False
        middle = top - int((top - parent.floor()) * parent.keeps)
        if not parent.floor() < middle <= top:
            return False
        self._heard += not parent.seen
        # An empty child shows that its parent's density does not apply to it.
        density = parent.density() if parent.keeps >= HALF else 0.0
        child = Chain(parent.since, middle, parent=parent, inherited_density=density)
        parent.since = middle
        self._waiting.append(child)
        return True
