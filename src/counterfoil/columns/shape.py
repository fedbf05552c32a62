"""The declared columns as the tree of objects of fixed shape that they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from counterfoil.columns.column import Column


@dataclass(slots=True)
class Shape:
    """An object of fixed shape, by its declared keys."""

    path: tuple[str, ...]
    #: Below a JSON column, which holds everything already.
    derived: bool
    fields: dict[str, Field] = field(default_factory=dict)
    #: The columns of this shape and of those below it, by index.
    indexes: tuple[int, ...] = ()


@dataclass(slots=True)
class Field:
    """A declared key: a column, an object of fixed shape, or, for derived columns below a JSON column, both."""

    index: int | None = None
    shape: Shape | None = None


def shape_of(columns: Sequence[Column]) -> Shape:
    """The tree of all columns but the `major` ones and copies; ValueError when two of them claim one place."""
    top = Shape((), derived=False)
    for index, column in enumerate(columns):
        if column.type != "major" and not column.copy_of:
            _declare(top, column, index)
    _close(top, columns)
    return top


def _declare(shape: Shape, column: Column, index: int) -> None:
    *above, last = column.path
    for key in above:
        place = shape.fields.setdefault(key, Field())
        place.shape = place.shape or Shape((*shape.path, key), derived=column.derived)
        shape = place.shape
    place = shape.fields.setdefault(last, Field())
    if place.index is not None:
        raise ValueError(f"two columns come from {'.'.join(column.path)}")
    place.index = index


def _close(shape: Shape, columns: Sequence[Column]) -> None:
    for place in shape.fields.values():
        if place.shape is None:
            continue
        if place.index is not None and (columns[place.index].type != "json" or not place.shape.derived):
            raise ValueError(f"{columns[place.index].name} is a column and has columns below it")
        _close(place.shape, columns)
    shape.indexes = tuple(_indexes(shape))


def _indexes(shape: Shape) -> Iterator[int]:
    for place in shape.fields.values():
        if place.index is not None:
            yield place.index
        if place.shape is not None:
            yield from place.shape.indexes
