"""Which pages of a listing to ask for next, so that many can be in flight and each object comes once.

No I/O and no clock: `request` says what to send, `answer` takes what came. A listing starts as one chain of pages,
newest first; whenever a slot is free, the chain with the most pages left gives the older part of what it has not read
to a new chain. https://docs.stripe.com/api/pagination states order and cursor; `created` has a resolution of a second.
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

#: A chain with fewer estimated pages left is not worth another chain's half-filled last page.
FEWEST_PAGES_TO_CUT = 4
#: With so many in flight pages are slow, and the last chains' last pages cost more time than halves of pages do.
MANY_IN_FLIGHT = 16
FEWEST_PAGES_OF_MANY = 2
#: A chain whose first page is still to come is cut by what its giver saw, and only where that leaves no doubt.
FEWEST_PAGES_UNSEEN = 16

#: Where the search for the oldest object of an unbounded window starts to halve; older objects are still found.
FIRST_YEAR = 1_293_840_000  # 2011-01-01, the year in which Stripe opened


HALF = 0.5

#: Restarts of one chain without a new row between them, before the list counts as unreadable.
MOST_RESTARTS = 100


@dataclass(slots=True, eq=False)
class Chain:
    """Consecutive pages of one window. `since` rises when the chain gives its older part away."""

    since: int | None
    until: int | None
    parent: Chain | None = None
    #: The last row listed, and the one before it. A page is requested after `before`, so that it begins with the last
    #: row of the page before: an answer that skips or repeats rows shows.
    cursor: str | None = None
    before: str | None = None
    #: How often the chain started again because its cursor was deleted, since its last new row.
    restarts: int = 0
    #: Whether rows of the second `oldest` may come again: after a restart, and where an interrupted reading resumes.
    restarted: bool = False
    #: `created` of the newest and of the oldest row seen.
    newest: int | None = None
    oldest: int | None = None
    rows: int = 0
    #: Rows a second that the giver saw: what is known of this chain until a page of its own is there.
    inherited_density: float = 0.0
    done: bool = False
    #: The last child was empty: the rest of this chain is denser than it looks, so its next page is waited for.
    on_hold: bool = False
    #: Of the time that it has left, the share that it keeps when it is cut. Empty children shrink it fast, so that
    #: a gap of years costs a handful of requests.
    keeps: float = HALF
    #: Ids of the rows seen in the second `oldest`: where the chain starts again when its cursor was deleted.
    last_second: set[str] = field(default_factory=set)

    def floor(self) -> int:
        """The lowest `created` that the chain may still meet, as far as is known."""
        if self.since is not None:
            return self.since
        top = self.top()
        return FIRST_YEAR if top is not None and top > FIRST_YEAR else 0

    def learn(self, *, empty: bool) -> None:
        """Takes note of the first page of what it gave."""
        self.on_hold = self.on_hold or empty
        self.keeps = self.keeps**2 if empty else HALF

    def top(self) -> int | None:
        """The highest `created` that the chain may still meet; None when nothing is known."""
        return self.until if self.oldest is None else self.oldest

    @property
    def seen(self) -> bool:
        """A page of its own is there."""
        return self.oldest is not None

    def density(self) -> float:
        """Rows a second."""
        if self.oldest is None or self.newest is None:
            return self.inherited_density
        return self.rows / (self.newest - self.oldest + 1)

    def pages_left(self) -> float:
        """Estimated from the rows that it has read and the time that they span."""
        top = self.top()
        return 0 if top is None else self.density() * (top - self.floor()) / PAGE_ROWS

    def can_give(self, fewest: float) -> bool:
        """Whether what is left is worth a chain more."""
        return not self.on_hold and self.pages_left() >= (fewest if self.seen else FEWEST_PAGES_UNSEEN)

    def position(self) -> Position | None:
        """How far it has come."""
        return None if self.cursor is None else Position(self.cursor, self.newest, self.oldest, self.rows)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far an earlier, interrupted reading came in one of its windows."""

    window: Window
    #: None when the window was empty.
    position: Position | None
    done: bool
    #: Ids of the rows in the oldest second that was read.
    last_second: frozenset[str] = frozenset()
    #: The row listed before the last one, where it is known.
    before: str | None = None


def chains_left(window: Window, reached: Iterable[Reached]) -> list[Chain]:
    """The chains that read what earlier pages of the window left out, and nothing that they hold.

    Earlier windows are told apart by their `until`, which never changes. A window that was cut when its reading was
    interrupted may have had a child without a page: it takes its range back.
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
    """One page to ask for: the rows after `after` in the window."""

    chain: Chain
    window: Window
    #: The last row listed before this page.
    cursor: str | None
    after: str | None

    @property
    def first(self) -> str | None:
        """The row that the page must begin with; None where that is not known."""
        return None if self.after == self.cursor else self.cursor


class Windows:
    """The chains that cover `window`; every object in it is kept from exactly one of them.

    Without `created` there is one chain, told by identifiers alone: those already `listed` may not come again, and
    those already `given` are not kept.
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
        #: In the order in which they were asked for, so that the same answers lead to the same cuts.
        self._in_flight: dict[Chain, None] = {}
        self._most_in_flight = 0
        #: Where a list begins nobody knows: hearsay is for windows that do not reach further back than they were told.
        self._hears = window.since is not None
        #: Cuts by hearsay. Each may cost a request for nothing: three for four slots may be lost that way.
        self._heard = 0
        #: Of a list without `created`: rows of the chain, and rows that were read before it started.
        self._listed = Identifiers(listed)
        self._given = Identifiers(given)

    @property
    def done(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return not self._waiting and not self._in_flight

    def request(self) -> Request | None:
        """The next page to ask for; None when only answers can bring more."""
        if not self._waiting and not self._cut():
            return None
        chain = self._waiting.popleft()
        self._in_flight[chain] = None
        self._most_in_flight = max(self._most_in_flight, len(self._in_flight))
        return Request(chain, Window(chain.since, chain.until), chain.cursor, chain.before or chain.cursor)

    def seen(self, request: Request) -> Container[str]:
        """Identifiers that may not be on the page, but for its first row."""
        if self._created is None:
            return self._listed
        return () if request.chain.restarted else request.chain.last_second

    def answer(
        self, request: Request, objects: Sequence[StripeObject], *, has_more: bool, full: bool = False
    ) -> list[StripeObject]:
        """The objects of the page that are rows, in Stripe's order. The page is valid: see `validation.py`.

        A chain that was cut while the page was in flight keeps only what is not its child's. A `full` page that says
        that nothing follows is not believed: the next one begins with its last row and shows whether that is so.
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
        # Nothing is left to give, if the page tells the truth.
        chain.on_hold = full and not has_more
        more = has_more or full
        if more and (chain.since is None or chain.oldest is None or chain.oldest >= chain.since):
            self._waiting.append(chain)
        else:
            chain.done = True
        return kept

    def cursor_lost(self, request: Request) -> None:
        """The row of the cursor was deleted: the chain starts again at the last second that it saw, or at the top."""
        chain = request.chain
        self._in_flight.pop(chain, None)
        chain.restarts += 1
        if request.cursor is None or chain.restarts > MOST_RESTARTS:
            raise StripeUnavailable(
                f"The list cannot be read after {request.cursor}: rows are deleted faster than it is read",
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
        # An empty child shows that the density of its parent is not its own.
        density = parent.density() if parent.keeps >= HALF else 0.0
        child = Chain(parent.since, middle, parent=parent, inherited_density=density)
        parent.since = middle
        self._waiting.append(child)
        return True
