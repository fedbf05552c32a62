"""Changes to one kind of object since generation, stored compactly enough for a hundred thousand changes."""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from stripe_sandbox.objects.json import Json

#: (time, id): the position of an added object in its list.
Place = tuple[int, str]


class Packing:
    """Compresses objects of a kind to an eighth of their JSON size, with a typical object as the dictionary."""

    #: The smallest deflate window that holds the sample and most objects.
    _BITS, _MEMORY = -13, 6

    def __init__(self, sample: bytes) -> None:
        self._sample = sample
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, self._BITS, self._MEMORY, zdict=sample)

    def pack(self, one: Json) -> bytes:
        deflate = self._deflate.copy()
        return deflate.compress(orjson.dumps(one)) + deflate.flush()

    def text(self, data: bytes) -> bytes:
        """The object as JSON."""
        return zlib.decompressobj(self._BITS, zdict=self._sample).decompress(data)

    def unpack(self, data: bytes) -> Json:
        made: Json = orjson.loads(self.text(data))
        return made


@dataclass(slots=True)
class Overlay:
    packing: Packing
    #: Changed fields of generated objects, by index.
    changed: dict[int, Json] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    #: Added objects with complete embedded lists, by id.
    added: dict[str, bytes] = field(default_factory=dict)
    #: Positions of added objects, ascending.
    order: list[Place] = field(default_factory=list)
    #: The last state of added objects that were deleted again, by id.
    removed: dict[str, bytes] = field(default_factory=dict)
    #: Positions of added objects by filter and value, ascending.
    referring: dict[tuple[str, Any], list[Place]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone or self.added)

    def get(self, id_: str) -> Json:
        """An added object."""
        return self.packing.unpack(self.added[id_])

    def refer(self, name: str, value: Any, place: Place) -> None:
        if value is not None:
            insort(self.referring.setdefault((name, value), []), place)

    def unrefer(self, name: str, value: Any, place: Place) -> None:
        places = self.referring.get((name, value), [])
        at = bisect_left(places, place)
        if places[at : at + 1] == [place]:
            del places[at]
            if not places:
                del self.referring[name, value]

    def leave(self, place: Place) -> None:
        """Removes an added object."""
        del self.added[place[1]]
        del self.order[bisect_left(self.order, place)]

    def forget(self, before: int) -> None:
        """Removes objects added before that time; only for objects that nothing refers to."""
        end = bisect_left(self.order, (before, ""))
        for _, id_ in self.order[:end]:
            del self.added[id_]
        del self.order[:end]

    def each(self) -> Iterator[Json]:
        """Every added object, in order of insertion."""
        for data in self.added.values():
            yield self.packing.unpack(data)
