"""The company as it is now: what was generated, and over it what has been created, updated and deleted since."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import NamedTuple

from counterfoil.sandbox.clock import Clock
from counterfoil.sandbox.company.world import World
from counterfoil.sandbox.ids import FIRST_ADDED, Ids
from counterfoil.sandbox.kinds import BY_NAME, KINDS, Kind
from counterfoil.sandbox.objects import discounts, subscriptions
from counterfoil.sandbox.objects.json import Json


class Position(NamedTuple):
    """Where an object stands in its list: by second, then by id. `at` is its index, -1 for an added one."""

    created: int
    id: str
    at: int


@dataclass(slots=True)
class Overlay:
    """Changes to one kind."""

    changed: dict[int, Json] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    added: dict[str, Json] = field(default_factory=dict)
    #: (created, id) of the added, ascending.
    order: list[tuple[int, str]] = field(default_factory=list)
    #: Ids of added objects that are deleted again.
    removed: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone or self.added)


class Store:
    """Objects by kind and id. Never hand out what it holds to be changed in place."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world, self.clock = world, clock
        self.overlays = {kind.name: Overlay() for kind in KINDS}
        self._families = sorted(((ids.prefix, name) for name, ids in world.ids.items()), key=lambda pair: -len(pair[0]))
        self._added = 0

    def new_id(self, family: str) -> str:
        ids: Ids = self.world.ids[family]
        self._added += 1
        return ids.of(FIRST_ADDED + self._added)

    def position(self, kind: Kind, id_: str) -> Position | None:
        """None when there is no such object, or it was deleted."""
        overlay = self.overlays[kind.name]
        if id_ in overlay.added:
            return Position(overlay.added[id_][kind.time_field], id_, -1)
        n = kind.index(self.world, id_)
        if n is None or n in overlay.gone:
            return None
        return Position(kind.created(self.world)[n], id_, n)

    def get(self, kind: Kind, id_: str) -> Json | None:
        """The object; the stub of a deleted customer; None when it is not there."""
        overlay = self.overlays[kind.name]
        if id_ in overlay.added:
            return overlay.added[id_]
        n = kind.index(self.world, id_)
        if n is not None and n not in overlay.gone:
            return self.at(kind, n)
        if kind.name == "customer" and (n is not None or id_ in overlay.removed):
            return {"id": id_, "object": "customer", "deleted": True}
        return None

    def at(self, kind: Kind, n: int) -> Json:
        """A generated object by its index, as it is now."""
        changed = self.overlays[kind.name].changed
        return changed[n] if n in changed else kind.render(self.world, n)

    def find(self, id_: str) -> Json | None:
        """The object of any kind that has this id."""
        family = self.family(id_)
        if family == "subscription_item":
            return self.subscription_item(id_)
        if family == "discount":
            return self.discount(id_)
        kind = BY_NAME.get(family or "coupon")
        return self.get(kind, id_) if kind else None

    def family(self, id_: str) -> str | None:
        return next((name for prefix, name in self._families if id_.startswith(prefix)), None)

    def subscription_item(self, id_: str) -> Json | None:
        n = self.world.ids["subscription_item"].index(id_)
        subs = self.world.subscriptions
        if n is not None and n >> 5 < len(subs.created) and n & 31 < subs.items[n >> 5]:
            return subscriptions.subscription_item(self.world, n)
        added = self.overlays["subscription"].added.values()
        return next((item for sub in added for item in sub["items"]["data"] if item["id"] == id_), None)

    def discount(self, id_: str) -> Json | None:
        """By its id, which no endpoint of Stripe's takes; expansion needs it."""
        n = self.world.ids["discount"].index(id_)
        known = n is not None and n < len(self.world.discounts.place)
        return discounts.discount(self.world, n) if n is not None and known else None

    def add(self, kind: Kind, one: Json) -> None:
        overlay = self.overlays[kind.name]
        overlay.added[one["id"]] = one
        insort(overlay.order, (one[kind.time_field], one["id"]))

    def put(self, kind: Kind, one: Json) -> None:
        """Replaces an object by a newer state of it."""
        overlay = self.overlays[kind.name]
        if one["id"] in overlay.added:
            overlay.added[one["id"]] = one
            return
        n = kind.index(self.world, one["id"])
        if n is None or n in overlay.gone:
            raise KeyError(one["id"])
        overlay.changed[n] = one

    def remove(self, kind: Kind, id_: str) -> None:
        overlay = self.overlays[kind.name]
        if (one := overlay.added.pop(id_, None)) is not None:
            del overlay.order[bisect_left(overlay.order, (one[kind.time_field], id_))]
            overlay.removed.add(id_)
            return
        n = kind.index(self.world, id_)
        if n is None or n in overlay.gone:
            raise KeyError(id_)
        overlay.gone.add(n)
        overlay.changed.pop(n, None)
