"""Which pages of a listing to ask for next, so that many can be in flight and each object comes once.

No I/O and no clock: `request` says what to send, `answer` takes what came. A listing starts as one chain of pages,
newest first; whenever a slot is free, the chain with the most pages left gives the older part of what it has not read
to a new chain. https://docs.stripe.com/api/pagination states order and cursor; `created` has a resolution of a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import inf

from counterfoil.errors import StripeUnavailable
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

#: Id and `created` of a row.
Place = tuple[str, int]


@dataclass(slots=True, eq=False)
class Chain:
    """Consecutive pages of one window. `since` rises when the chain gives its older part away."""

    since: int | None
    until: int | None
    giver: Chain | None = None
    cursor: str | None = None
    #: `created` of the newest and of the oldest row seen.
    newest: int | None = None
    oldest: int | None = None
    rows: int = 0
    #: Rows a second that the giver saw: what is known of this chain until a page of its own is there.
    hearsay: float = 0.0
    done: bool = False
    #: The last gift was empty: what this chain has left is denser than it looks, so its next page is waited for.
    resting: bool = False
    #: Of the time that it has left, the share that it keeps when it is cut. Empty gifts shrink it fast, so that a gap
    #: of years costs a handful of requests.
    keeps: float = HALF
    #: Ids of the rows seen in the second `oldest`: where the chain starts again when its cursor was deleted.
    last_second: set[str] = field(default_factory=set)
    #: Ids of the page before: what comes again shows a list that does not go on.
    last_page: frozenset[str] = frozenset()

    def floor(self) -> int:
        """The lowest `created` that the chain may still meet, as far as is known."""
        if self.since is not None:
            return self.since
        top = self.top()
        return FIRST_YEAR if top is not None and top > FIRST_YEAR else 0

    def learn(self, *, empty: bool) -> None:
        """Takes note of the first page of what it gave."""
        self.resting = self.resting or empty
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
            return self.hearsay
        return self.rows / (self.newest - self.oldest + 1)

    def pages_left(self) -> float:
        """Estimated from the rows that it has read and the time that they span."""
        top = self.top()
        return 0 if top is None else self.density() * (top - self.floor()) / PAGE_ROWS

    def can_give(self, fewest: float) -> bool:
        """Whether what is left is worth a chain more."""
        return not self.resting and self.pages_left() >= (fewest if self.seen else FEWEST_PAGES_UNSEEN)

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


def chains_left(window: Window, reached: Iterable[Reached]) -> list[Chain]:
    """The chains that read what earlier pages of the window left out, and nothing that they hold.

    Earlier windows are told apart by their `until`, which never changes. A window that was cut when its reading was
    interrupted may have had a gift that brought no page yet: it takes that back.
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
                    newest=at.newest,
                    oldest=at.oldest,
                    rows=at.listed,
                    last_second=set(one.last_second),
                )
            )
    return chains


@dataclass(frozen=True, slots=True)
class Request:
    """One page to ask for."""

    chain: Chain
    window: Window
    cursor: str | None


class Windows:
    """The chains that cover `window`; every object in it is kept from exactly one of them."""

    def __init__(
        self,
        window: Window,
        *,
        created: str | None = "created",
        parallel: bool = True,
        reached: Iterable[Reached] = (),
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
        return Request(chain, Window(chain.since, chain.until), chain.cursor)

    def answer(self, request: Request, objects: Sequence[StripeObject], *, has_more: bool) -> list[StripeObject]:
        """The objects of the page that are rows, in Stripe's order.

        A chain that was cut while the page was in flight keeps only what is not the gift's.
        """
        chain = request.chain
        self._in_flight.pop(chain, None)
        if chain.giver is not None and request.cursor is None:
            chain.giver.learn(empty=not objects)
        if not objects:
            if has_more:
                raise StripeUnavailable("An empty page says that more follows", hint="Try again later.")
            chain.done = True
            return []
        places = [self._place(row) for row in objects]
        last_id, last_created = places[-1]
        if last_id == request.cursor:
            raise StripeUnavailable(f"The page after {last_id} ends with {last_id} again", hint="Try again later.")
        if self._created is not None:
            _check_order(chain, places)
        kept = self._kept(chain, objects, places)
        self._advance(chain, places)
        if has_more and (chain.since is None or last_created >= chain.since):
            self._waiting.append(chain)
        else:
            chain.done = True
        return kept

    def cursor_lost(self, request: Request) -> None:
        """The object of the cursor was deleted: the chain starts again at the last second that it saw."""
        chain = request.chain
        self._in_flight.pop(chain, None)
        if chain.oldest is None or request.cursor is None or self._created is None:
            raise StripeUnavailable(f"The object {request.cursor} went while the list was read", hint="Try again.")
        chain.until = chain.oldest + 1
        chain.cursor = None
        chain.last_page = frozenset()
        self._waiting.append(chain)

    def _place(self, row: StripeObject) -> Place:
        identifier = row.get("id")
        created = row.get(self._created) if self._created else 0
        if not isinstance(identifier, str) or type(created) is not int:
            raise StripeUnavailable(
                f"An object of the list has no id or no time of creation: id {identifier!r}, "
                f"{self._created} {created!r}",
                hint="This does not look like an answer of Stripe's.",
            )
        return identifier, created

    def _kept(self, chain: Chain, objects: Sequence[StripeObject], places: Sequence[Place]) -> list[StripeObject]:
        if self._created is None:
            return list(objects)
        since, again = chain.since, chain.last_second
        return [
            row
            for row, (identifier, created) in zip(objects, places, strict=True)
            if (since is None or created >= since) and not (created == chain.oldest and identifier in again)
        ]

    def _advance(self, chain: Chain, places: Sequence[Place]) -> None:
        chain.resting = False
        chain.cursor, oldest = places[-1]
        chain.rows += len(places)
        if self._created is None:
            return
        if chain.newest is None:
            chain.newest = places[0][1]
        if oldest != chain.oldest:
            chain.last_second = set()
        chain.oldest = oldest
        chain.last_second.update(identifier for identifier, created in places if created == oldest)
        chain.last_page = frozenset(identifier for identifier, _ in places)

    def _cut(self) -> bool:
        if not self._parallel:
            return False
        fewest = FEWEST_PAGES_TO_CUT if len(self._in_flight) < MANY_IN_FLIGHT else FEWEST_PAGES_OF_MANY
        hears = self._hears and 4 * self._heard < 3 * self._most_in_flight
        givers = (chain for chain in self._in_flight if (chain.seen or hears) and chain.can_give(fewest))
        giver = max(givers, key=Chain.pages_left, default=None)
        if giver is None or (top := giver.top()) is None:
            return False
        middle = top - int((top - giver.floor()) * giver.keeps)
        if not giver.floor() < middle <= top:
            return False
        self._heard += not giver.seen
        # An empty gift shows that the giver's density is not that of what it gives.
        gift = Chain(giver.since, middle, giver=giver, hearsay=giver.density() if giver.keeps >= HALF else 0.0)
        giver.since = middle
        self._waiting.append(gift)
        return True


def _check_order(chain: Chain, places: Sequence[Place]) -> None:
    """Windows stand on the order that Stripe documents; a list that jumps back would lose or double rows."""
    newest = chain.oldest if chain.cursor is not None else None
    for identifier, created in places:
        if identifier in chain.last_page or (newest is not None and created > newest):
            raise StripeUnavailable(
                f"The list is not newest first: {identifier} comes where only older objects can",
                hint="Try again later; if it stays so, please report it.",
            )
        newest = created
