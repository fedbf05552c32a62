"""Which pages of a listing to ask for next, so that many can be in flight and each object comes once.

No I/O and no clock: `request` says what to send, `answer` takes what came. A listing starts as one chain of pages,
newest first; whenever a slot is free, the chain with the most pages left gives the older part of what it has not read
to a new chain. https://docs.stripe.com/api/pagination states order and cursor; `created` has a resolution of a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from counterfoil.errors import StripeUnavailable
from counterfoil.values import StripeObject, Window

PAGE_ROWS = 100

#: A chain with fewer estimated pages left is not worth another chain's half-filled last page.
FEWEST_PAGES_TO_CUT = 4

#: Where the search for the oldest object of an unbounded window starts to halve; older objects are still found.
FIRST_YEAR = 1_293_840_000  # 2011-01-01, the year in which Stripe opened


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
    done: bool = False
    #: The last gift was empty: what this chain has left is denser than it looks, so its next page is waited for.
    resting: bool = False
    #: Of the time that it has left, the share that it keeps when it is cut. Empty gifts shrink it fast, so that a gap
    #: of years costs a handful of requests.
    keeps: float = 0.5
    #: Ids of the rows seen in the second `oldest`: where the chain starts again when its cursor was deleted.
    last_second: set[str] = field(default_factory=set)

    def floor(self) -> int:
        """The lowest `created` that the chain may still meet, as far as is known."""
        if self.since is not None:
            return self.since
        return FIRST_YEAR if self.oldest is not None and self.oldest > FIRST_YEAR else 0

    def learn(self, *, empty: bool) -> None:
        """Takes note of the first page of what it gave."""
        self.resting = self.resting or empty
        self.keeps = self.keeps**2 if empty else 0.5

    def pages_left(self) -> float:
        """Estimated from the rows that it has read and the time that they span."""
        if self.oldest is None or self.newest is None:
            return 0
        density = self.rows / (self.newest - self.oldest + 1)
        return density * (self.oldest - self.floor()) / PAGE_ROWS


@dataclass(frozen=True, slots=True)
class Request:
    """One page to ask for."""

    chain: Chain
    window: Window
    cursor: str | None


class Windows:
    """The chains that cover `window`; every object in it is kept from exactly one of them."""

    def __init__(self, window: Window, *, created: str | None = "created", parallel: bool = True) -> None:
        self._created = created
        self._parallel = parallel and created is not None
        first = Chain(window.since, window.until)
        self._waiting: deque[Chain] = deque([first])
        self._in_flight: set[Chain] = set()

    @property
    def done(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return not self._waiting and not self._in_flight

    def request(self) -> Request | None:
        """The next page to ask for; None when only answers can bring more."""
        if not self._waiting and not self._cut():
            return None
        chain = self._waiting.popleft()
        self._in_flight.add(chain)
        return Request(chain, Window(chain.since, chain.until), chain.cursor)

    def answer(self, request: Request, objects: Sequence[StripeObject], *, has_more: bool) -> list[StripeObject]:
        """The objects of the page that are rows, in Stripe's order.

        A chain that was cut while the page was in flight keeps only what is not the gift's.
        """
        chain = request.chain
        self._in_flight.discard(chain)
        if chain.giver is not None and request.cursor is None:
            chain.giver.learn(empty=not objects)
        if not objects:
            if has_more:
                raise StripeUnavailable("An empty page says that more follows", hint="Try again later.")
            chain.done = True
            return []
        last_id, last_created = self._place(objects[-1])
        if last_id == request.cursor:
            raise StripeUnavailable(f"The page after {last_id} ends with {last_id} again", hint="Try again later.")
        kept = self._kept(chain, objects)
        self._advance(chain, objects, last_id, last_created)
        if has_more and (chain.since is None or last_created >= chain.since):
            self._waiting.append(chain)
        else:
            chain.done = True
        return kept

    def cursor_lost(self, request: Request) -> None:
        """The object of the cursor was deleted: the chain starts again at the last second that it saw."""
        chain = request.chain
        self._in_flight.discard(chain)
        if chain.oldest is None or request.cursor is None or self._created is None:
            raise StripeUnavailable(f"The object {request.cursor} went while the list was read", hint="Try again.")
        chain.until = chain.oldest + 1
        chain.cursor = None
        self._waiting.append(chain)

    def _place(self, row: StripeObject) -> tuple[str, int]:
        identifier = row.get("id")
        created = row.get(self._created) if self._created else 0
        if not isinstance(identifier, str) or type(created) is not int:
            raise StripeUnavailable(
                f"An object of the list has no id or no time of creation: id {identifier!r}, "
                f"{self._created} {created!r}",
                hint="This does not look like an answer of Stripe's.",
            )
        return identifier, created

    def _kept(self, chain: Chain, objects: Sequence[StripeObject]) -> list[StripeObject]:
        if self._created is None:
            return list(objects)
        since, again = chain.since, chain.last_second
        kept = []
        for row in objects:
            identifier, created = self._place(row)
            if since is not None and created < since:
                continue
            if created == chain.oldest and identifier in again:
                continue
            kept.append(row)
        return kept

    def _advance(self, chain: Chain, objects: Sequence[StripeObject], last_id: str, last_created: int) -> None:
        chain.resting = False
        chain.cursor = last_id
        chain.rows += len(objects)
        if self._created is None:
            return
        if chain.newest is None:
            chain.newest = self._place(objects[0])[1]
        if last_created != chain.oldest:
            chain.last_second = set()
        chain.oldest = last_created
        for row in reversed(objects):
            identifier, created = self._place(row)
            if created != last_created:
                break
            chain.last_second.add(identifier)

    def _cut(self) -> bool:
        if not self._parallel:
            return False
        giver = max((chain for chain in self._in_flight if not chain.resting), key=Chain.pages_left, default=None)
        if giver is None or giver.oldest is None or giver.pages_left() < FEWEST_PAGES_TO_CUT:
            return False
        middle = giver.oldest - int((giver.oldest - giver.floor()) * giver.keeps)
        if not giver.floor() < middle <= giver.oldest:
            return False
        gift = Chain(giver.since, middle, giver=giver)
        giver.since = middle
        self._waiting.append(gift)
        return True
