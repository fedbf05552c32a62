"""Pages of a list: newest first by time and id, limited by cursors, `created` and filters."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from stripe_sandbox.company.world import World
from stripe_sandbox.filters import Filter, OfIndex, OfObject
from stripe_sandbox.kinds import Kind
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Position, Store
from stripe_sandbox.wire.errors import bad_parameter, missing_object
from stripe_sandbox.wire.parameters import LISTING, Range, limit_of, range_of, refuse_unknown


@dataclass(frozen=True, slots=True)
class Query:
    """The validated parameters of a list request."""

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


@dataclass(frozen=True, slots=True)
class Criterion:
    """One filter with its value; `by_index` is valid while a generated object's `field` is unchanged."""

    field: str
    by_index: OfIndex | None
    by_object: OfObject


class Lister:
    """Reads pages of a store. `missing_status` is the HTTP status for a cursor that does not exist."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.missing_status = 400

    def page(self, kind: Kind, asked: Query) -> tuple[list[Json], bool]:
        """Up to `limit` objects, and whether more follow."""
        ascending = asked.before is not None
        keys = self._keys(kind, asked, ascending=ascending)
        found = list(islice(keys, asked.limit + 1))
        more = len(found) > asked.limit
        del found[asked.limit :]
        if ascending:
            found.reverse()
        if self.store.overlays[kind.name]:
            store = self.store
            return [store.added(kind, key.id) if key.at < 0 else store.at(kind, key.at) for key in found], more
        world, render = self.store.world, kind.render
        return [render(world, key.at) for key in found], more

    def _keys(self, kind: Kind, asked: Query, *, ascending: bool) -> Iterator[Position]:
        """The positions of the listed objects, in list order."""
        created, overlay = kind.created(self.store.world), self.store.overlays[kind.name]
        since = self._since(kind, asked)
        low = 0 if since is None else bisect_left(created, since)
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
        tests = [_criterion(self.store.world, kind.filters[name], value) for name, value in asked.filters.items()]
        generated = self._generated(kind, range(low, high) if ascending else range(high - 1, low - 1, -1), tests)
        if not overlay.order:
            return generated
        added = self._added(kind, asked, older, newer, ascending=ascending)
        # Ids of added objects sort after all generated ids, so the comparison does not need the generated ids.
        return merge(generated, added, key=lambda key: (key.created, key.id, key.at), reverse=not ascending)

    def _since(self, kind: Kind, asked: Query) -> int | None:
        kept = kind.since(self.store.world) if kind.since else None
        bounds = [bound for bound in (kept, asked.created.low) if bound is not None]
        return max(bounds, default=None)

    def _cursor(self, kind: Kind, id_: str | None, param: str) -> Position | None:
        if id_ is None:
            return None
        place = self.store.position(kind, id_)
        if place is None or (kind.name == "customer" and "deleted" in (self.store.get(kind, id_) or {})):
            raise missing_object(kind.name, id_, param=param, status=self.missing_status)
        return place

    def _generated(self, kind: Kind, span: range, tests: Sequence[Criterion]) -> Iterator[Position]:
        store, created, overlay = self.store, kind.created(self.store.world), self.store.overlays[kind.name]
        world, hidden, gone, changed = store.world, kind.hidden, overlay.gone, overlay.changed
        for n in span:
            if n in gone or (hidden and hidden(world, n)):
                continue
            fields = changed.get(n, ())
            for test in tests:
                if test.by_index is None or test.field in fields:
                    if not test.by_object(store.at(kind, n)):
                        break
                elif not test.by_index(n):
                    break
            else:
                yield Position(created[n], "", n)

    def _added(
        self, kind: Kind, asked: Query, older: Position | None, newer: Position | None, *, ascending: bool
    ) -> Iterator[Position]:
        overlay, places, tests = self.store.overlays[kind.name], None, []
        for name, value in asked.filters.items():
            one = kind.filters[name]
            if one.key is not None and places is None:
                places = overlay.referring.get((name, str(value)), [])
            else:
                tests.append(one.by_object(value))
        if places is None:
            places = overlay.order
        since = self._since(kind, asked)
        low = 0 if since is None else bisect_left(places, (since, ""))
        high = len(places) if asked.created.high is None else bisect_left(places, (asked.created.high + 1, ""))
        if (now := self.store.clock.now()) < self.store.world.end:
            high = min(high, bisect_left(places, (now + 1, "")))
        if older:
            high = min(high, bisect_left(places, (older.created, older.id)))
        if newer:
            low = max(low, bisect_right(places, (newer.created, newer.id)))
        for at in range(low, high) if ascending else range(high - 1, low - 1, -1):
            created, id_ = places[at]
            if tests:
                shown = self.store.added(kind, id_)
                if not all(test(shown) for test in tests):
                    continue
            yield Position(created, id_, -1)


def _criterion(world: World, one: Filter, value: Any) -> Criterion:
    return Criterion(one.field, one.by_index(world, value) if one.by_index else None, one.by_object(value))


def slice_of(objects: Sequence[Json], given: dict[str, Any], *, missing_status: int) -> tuple[list[Json], bool]:
    """A page of an embedded list that is completely in memory, in its own order."""
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
