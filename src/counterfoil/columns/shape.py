"""The declared columns as a tree of the objects that contain their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from counterfoil.columns.column import Column


@dataclass(slots=True)
class Shape:
    """An object with declared keys."""

    path: tuple[str, ...]
    #: Whether the object is inside a JSON column, which contains all of its values.
    derived: bool
    fields: dict[str, Field] = field(default_factory=dict)
    #: The column indexes of this shape and of the shapes nested in it.
    indexes: tuple[int, ...] = ()


@dataclass(slots=True)
class Field:
    """A declared key: a column, an object, or, for derived columns inside a JSON column, both."""

    index: int | None = None
    shape: Shape | None = None


def shape_of(columns: Sequence[Column]) -> Shape:
    """The tree of all columns except the `major` columns and copies; ValueError if two columns have the same path."""
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
        raise ValueError(f"two columns have the path {'.'.join(column.path)}")
    place.index = index


def _close(shape: Shape, columns: Sequence[Column]) -> None:
    for place in shape.fields.values():
        if place.shape is None:
            continue
        if place.index is not None and (columns[place.index].type != "json" or not place.shape.derived):
            raise ValueError(f"{columns[place.index].name} is a column, but its object has columns too")
        _close(place.shape, columns)
    shape.indexes = tuple(_indexes(shape))


def _indexes(shape: Shape) -> Iterator[int]:
    for place in shape.fields.values():
        if place.index is not None:
            yield place.index
        if place.shape is not None:
            yield from place.shape.indexes
