"""The context of an activity: the time, random numbers, the company, and scheduled consequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from stripe_sandbox.books import Books
from stripe_sandbox.company.charges import ACCOUNTS
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.life.dice import Dice
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store

#: The share of events that are listed late, and the maximum delay in seconds.
_LATE, _LATEST = 0.06, 300


#: Called with the scene and the ids of the objects concerned.
Consequence = Callable[..., object]


class Scene:
    def __init__(self, store: Store) -> None:
        self.store, self.world = store, store.world
        self.books = Books(store)
        #: Connected accounts.
        self.accounts = [self.world.ids["account"].of(n) for n in range(1, ACCOUNTS + 1)]
        self.at = 0
        self.dice = Dice(0)
        #: The number of events by type, and of changes without an event by object.
        self.event_counts: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()
        #: Ids of open invoices, drafts and pending invoice items; some may have changed since.
        self.open_invoices: list[str] = []
        self.drafts: list[str] = []
        self.pending_items: list[str] = []
        #: Heap of (end of the current period, id of the subscription).
        self.periods: list[tuple[int, str]] = []
        self._consequences: list[tuple[int, int, Consequence, tuple[str, ...]]] = []
        self._late: list[tuple[int, int, Json]] = []
        self._numbered = 0
        self._like: dict[str, Json] = {}

    def get(self, name: str, id_: str) -> Json | None:
        """An object with complete lists; None if it does not exist or was deleted."""
        one = self.store.whole(BY_NAME[name], id_)
        return None if one is None or one.get("deleted") else one

    def pick(self, name: str, wanted: Callable[[Json], bool] = lambda _: True, tries: int = 16) -> Json | None:
        """A random object of any age, more often a recent one; None if `tries` attempts found no match."""
        kind, overlay = BY_NAME[name], self.store.overlays[name]
        generated = len(kind.created(self.world))
        total = generated + len(overlay.order)
        for _ in range(tries if total else 0):
            n = self.dice.below(total) if self.dice.chance(0.7) else total - 1 - self.dice.below(1 + total // 12)
            if n >= generated:
                one = self.get(name, overlay.order[n - generated][1])
            elif n in overlay.gone or (kind.hidden and kind.hidden(self.world, n)):
                continue
            else:
                one = self.get(name, kind.id_of(self.world, n))
            if one is not None and wanted(one):
                return one
        return None

    def take(self, name: str, pool: list[str], wanted: Callable[[Json], bool]) -> Json | None:
        """A random match from a pool; removes ids that no longer match."""
        for _ in range(min(8, len(pool))):
            n = self.dice.below(len(pool))
            one = self.get(name, pool[n])
            if one is not None and wanted(one):
                return one
            pool[n] = pool[-1]
            pool.pop()
        return None

    def like(self, name: str) -> Json:
        """The first generated object of a kind, as a template. It is shared and must not be changed."""
        if name not in self._like:
            kind, world = BY_NAME[name], self.world
            listed = (n for n in range(len(kind.created(world))) if not (kind.hidden and kind.hidden(world, n)))
            self._like[name] = kind.render(world, next(listed))
        return self._like[name]

    def new_id(self, family: str) -> str:
        return self.store.new_id(family)

    def number(self) -> int:
        """The next number of a counter, for values that must be unique or ascending."""
        self._numbered += 1
        return self._numbered

    def add(self, one: Json, *, tell: str | None = None) -> Json:
        """Adds an object with complete embedded lists; `tell` is the type of its event."""
        self.store.add(BY_NAME[one["object"]], one)
        if tell:
            self.tell(tell, one)
        return one

    def change(self, one: Json, fields: Json, *, tell: str | None = None) -> Json:
        """Changes fields and returns the object; `tell` is the type of its event, None for no event."""
        self.store.patch(BY_NAME[one["object"]], one["id"], fields)
        after = one | fields
        if tell:
            shown = self.store.cut(one)
            self.tell(tell, after, {name: shown.get(name) for name in fields})
        return after

    def become(self, one: Json, after: Json, *, tell: str | None = None) -> Json:
        """Changes the object to `after`; the event shows only the fields that differ."""
        fields = {name: value for name, value in after.items() if name not in one or one[name] != value}
        return self.change(one, fields, tell=tell)

    def change_silently(self, one: Json, fields: Json) -> Json:
        """Makes a change for which Stripe has no event, and counts it in `silent`."""
        self.silent[f"{one['object']}.updated"] += 1
        return self.change(one, fields)

    def remove(self, one: Json, *, tell: str) -> None:
        self.store.remove(BY_NAME[one["object"]], one["id"])
        self.tell(tell, one)

    def tell(self, what: str, one: Json, previous: Json | None = None) -> None:
        """Records an event, which is listed at once or some minutes later."""
        event = self.books.event(what, one, at=self.at, previous=previous)
        self.event_counts[what] += 1
        if self.dice.chance(_LATE):
            heappush(self._late, (self.at + 1 + self.dice.below(_LATEST), self.number(), event))
        else:
            self.books.keep(event)

    def move(self, what: tuple[str, str], one: Json, amount: int, *, days: int = 0, fee: int = 0) -> str:
        """Adds a balance transaction that becomes available after `days`; returns its id."""
        moved = self.books.transaction(what, one, amount, at=self.at, available_on=self.at + days * 86400, fee=fee)
        return str(moved["id"])

    def later(self, seconds: int, do: Consequence, *of: str) -> None:
        heappush(self._consequences, (self.at + seconds, self.number(), do, of))

    def next_late(self) -> int | None:
        return self._late[0][0] if self._late else None

    def show_late(self) -> None:
        self.books.keep(heappop(self._late)[2])

    def next_consequence(self) -> int | None:
        return self._consequences[0][0] if self._consequences else None

    def let_follow(self) -> None:
        """Runs the next consequence."""
        _, number, do, of = heappop(self._consequences)
        self.dice = Dice(self.world.seed << 32 ^ number)
        do(self, *of)


def currency_of(one: Json) -> int:
    """The index of the object's currency."""
    return CURRENCIES.index(one["currency"])


def metadata(scene: Scene, before: dict[str, Any]) -> Json:
    """The metadata with one value changed."""
    return before | {"reviewed": f"R-{scene.number():06d}"}
