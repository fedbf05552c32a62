"""What has changed since the company was generated, of one kind of object, held small: a hundred thousand are fine."""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from stripe_sandbox.objects.json import Json

#: (second, id): where an added object stands in its list.
Place = tuple[int, str]


class Packing:
    """Packs objects of a kind, given one of them that most are like: to an eighth of what JSON takes."""

    #: The smallest window of deflate that holds the sample and most objects.
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
    #: Fields of generated objects that are no longer what they were, by index.
    changed: dict[int, Json] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    #: Added objects with their embedded lists whole, by id.
    added: dict[str, bytes] = field(default_factory=dict)
    #: Where the added stand, ascending.
    order: list[Place] = field(default_factory=list)
    #: Added objects that are deleted again, as they were last.
    removed: dict[str, bytes] = field(default_factory=dict)
    #: Where those added objects stand, ascending, that refer to another, by filter and value.
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
        """Takes an added object out of the order."""
        del self.added[place[1]]
        del self.order[bisect_left(self.order, place)]

    def forget(self, before: int) -> None:
        """Drops what was added of earlier seconds; only for objects that nothing refers to."""
        end = bisect_left(self.order, (before, ""))
        for _, id_ in self.order[:end]:
            del self.added[id_]
        del self.order[:end]

    def each(self) -> Iterator[Json]:
        """Every added object, in the order in which they came."""
        for data in self.added.values():
            yield self.packing.unpack(data)
