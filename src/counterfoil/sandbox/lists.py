"""One page of a list: newest first by second and id, between cursors, within `created`, through filters."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from counterfoil.sandbox.filters import OfIndex, OfObject
from counterfoil.sandbox.kinds import Kind
from counterfoil.sandbox.objects.json import Json
from counterfoil.sandbox.store import Position, Store
from counterfoil.sandbox.wire.errors import bad_parameter, missing_object
from counterfoil.sandbox.wire.parameters import LISTING, Range, limit_of, range_of, refuse_unknown


@dataclass(frozen=True, slots=True)
class Query:
    """What a list was asked for, checked."""

    limit: int
    after: str | None
    before: str | None
    created: Range
    filters: dict[str, Any]


def query(kind: Kind, given: dict[str, Any]) -> Query:
    refuse_unknown(given, LISTING | kind.filters.keys() | {"created"})
    after, before = cursors(given)
    if kind.name == "subscription" and "status" not in given:
        given = given | {"status": None}
    filters = {name: given[name] for name in kind.filters if name in given}
    created = range_of(given["created"], "created") if "created" in given else Range()
    return Query(limit_of(given), after, before, created, filters)


def cursors(given: dict[str, Any]) -> tuple[str | None, str | None]:
    after, before = given.get("starting_after"), given.get("ending_before")
    if after is not None and before is not None:
        raise bad_parameter(
            "Received both starting_after and ending_before parameters. Please pass in only one.", "starting_after"
        )
    return after, before


class Lister:
    """Reads pages of a store. `missing_status` answers a cursor whose object is not there."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.missing_status = 400

    def page(self, kind: Kind, asked: Query) -> tuple[list[Json], bool]:
        """Up to `limit` objects, and whether there are more beyond them."""
        ascending = asked.before is not None
        keys = self._keys(kind, asked, ascending=ascending)
        found = list(islice(keys, asked.limit + 1))
        more = len(found) > asked.limit
        del found[asked.limit :]
        if ascending:
            found.reverse()
        overlay = self.store.overlays[kind.name]
        if overlay:
            return [overlay.added[k.id] if k.at < 0 else self.store.at(kind, k.at) for k in found], more
        world, render = self.store.world, kind.render
        return [render(world, key.at) for key in found], more

    def ids(self, kind: Kind, asked: Query) -> Iterator[str]:
        """Every id of a listing, newest first."""
        for key in self._keys(kind, asked, ascending=False):
            yield key.id or kind.id_of(self.store.world, key.at)

    def _keys(self, kind: Kind, asked: Query, *, ascending: bool) -> Iterator[Position]:
        created, overlay = kind.created(self.store.world), self.store.overlays[kind.name]
        low = 0 if asked.created.low is None else bisect_left(created, asked.created.low)
        high = len(created) if asked.created.high is None else bisect_right(created, asked.created.high)
        if self.store.clock.now() < self.store.world.end:
            high = min(high, bisect_right(created, self.store.clock.now()))
        older, newer = (
            self._cursor(kind, asked.after, "starting_after"),
            self._cursor(kind, asked.before, "ending_before"),
        )
        if older:
            high = min(high, older.at if older.at >= 0 else bisect_right(created, older.created))
        if newer:
            low = max(low, newer.at + 1 if newer.at >= 0 else bisect_right(created, newer.created))
        by_index, by_object = self._tests(kind, asked)
        generated = self._generated(
            kind, range(low, high) if ascending else range(high - 1, low - 1, -1), by_index, by_object
        )
        if not overlay.order:
            return generated
        order = [
            Position(at, id_, -1)
            for at, id_ in overlay.order
            if at in asked.created
            and (not older or (at, id_) < (older.created, older.id))
            and (not newer or (at, id_) > (newer.created, newer.id))
            and all(test(overlay.added[id_]) for test in by_object)
        ]
        if not ascending:
            order.reverse()
        # Ids of added objects sort after all generated ones, whose ids need not be made to be compared.
        return merge(generated, order, key=lambda key: (key.created, key.id, key.at), reverse=not ascending)

    def _cursor(self, kind: Kind, id_: str | None, param: str) -> Position | None:
        if id_ is None:
            return None
        place = self.store.position(kind, id_)
        if place is None or (kind.name == "customer" and "deleted" in (self.store.get(kind, id_) or {})):
            raise missing_object(kind.name, id_, param=param, status=self.missing_status)
        return place

    def _tests(self, kind: Kind, asked: Query) -> tuple[list[OfIndex], list[OfObject]]:
        world, by_index, by_object = self.store.world, [], []
        for name, value in asked.filters.items():
            one = kind.filters[name]
            if kind.name == "subscription" and name == "status" and value is None:
                by_index.append(_not_canceled(world.subscriptions.status))
                by_object.append(lambda sub: sub["status"] != "canceled")
                continue
            test = one.by_object(value)
            by_object.append(test)
            by_index.append(one.by_index(world, value) if one.by_index else _rendering(self.store, kind, test))
        return by_index, by_object

    def _generated(
        self, kind: Kind, span: range, by_index: Sequence[OfIndex], by_object: Sequence[OfObject]
    ) -> Iterator[Position]:
        world, created, overlay = self.store.world, kind.created(self.store.world), self.store.overlays[kind.name]
        hidden, gone, changed = kind.hidden, overlay.gone, overlay.changed
        for n in span:
            if n in gone or (hidden and hidden(world, n)):
                continue
            if n in changed:
                if not all(test(changed[n]) for test in by_object):
                    continue
            elif not all(test(n) for test in by_index):
                continue
            yield Position(created[n], "", n)


def _not_canceled(column: Sequence[int]) -> OfIndex:
    """What Stripe leaves out unless a status is asked for (docs: list subscriptions)."""
    from counterfoil.sandbox.company.tables import CANCELED

    return lambda n: column[n] != CANCELED


def _rendering(store: Store, kind: Kind, test: Callable[[Json], bool]) -> OfIndex:
    return lambda n: test(kind.render(store.world, n))


def slice_of(objects: Sequence[Json], given: dict[str, Any], *, missing_status: int) -> tuple[list[Json], bool]:
    """A page of a list that belongs to one object and is at hand whole, in its own order."""
    limit = limit_of(given)
    after, before = cursors(given)
    places = {one["id"]: at for at, one in enumerate(objects)}
    for cursor, param in ((after, "starting_after"), (before, "ending_before")):
        if cursor is not None and cursor not in places:
            kind = objects[0]["object"] if objects else "object"
            raise missing_object(kind, cursor, param=param, status=missing_status)
    if before is not None:
        end = places[before]
        return list(objects[max(0, end - limit) : end]), end > limit
    start = 0 if after is None else places[after] + 1
    return list(objects[start : start + limit]), len(objects) > start + limit
