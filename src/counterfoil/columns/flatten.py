"""Converts Stripe's objects to record batches of declared columns; all other values go to `_extra`.

No value is lost, and no type is inferred. Objects are processed a page at a time, while they are in the processor's
cache, into one list of values per column. The lists become arrays at the end. The objects of a page mostly have the
same keys in the same order; then their values are transposed to columns without looking up keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from types import NoneType
from typing import Any

import pyarrow as pa

from counterfoil.columns import cells, money
from counterfoil.columns.column import Column
from counterfoil.columns.drift import DriftKind, Drifts
from counterfoil.columns.json_text import encoded
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.shape import Field, Shape, shape_of
from counterfoil.columns.system import EXTRA
from counterfoil.values import ESCAPED, StripeObject, is_escaped

PAGE = 100
_NOTHING: StripeObject = {}
#: The JSON text with which an escaped value begins.
_MARK = f'{{"{ESCAPED}":'


class Flattener:
    """Converts the objects of one report to batches with one schema: the columns in order, then `_extra`."""

    def __init__(self, columns: Iterable[Column], *, digits: Mapping[str, int] = money.NO_DIGITS) -> None:
        self.columns = tuple(columns)
        self.schema = arrow_schema((*self.columns, EXTRA))
        #: The differences found so far, in all batches.
        self.drift = Drifts()
        #: Objects added since the last flush.
        self.rows = 0
        self._digits = digits
        self._shape = shape_of(self.columns)
        self._values: list[list[Any]] = [[] for _ in self.columns]
        #: The content of `_extra`, by row.
        self._extra: dict[int, dict[str, Any]] = {}

    def batch(self, objects: Sequence[StripeObject]) -> pa.RecordBatch:
        """One row per object, in their order."""
        self.add(objects)
        return self.flush()

    def add(self, objects: Sequence[StripeObject]) -> None:
        """Adds objects from a JSON decoder, without changing them or keeping references to them.

        Fastest when called with each page right after decoding it.
        """
        for start in range(0, len(objects), PAGE):
            page = objects[start : start + PAGE]
            self._read(self._shape, page)
            self.rows += len(page)

    def flush(self) -> pa.RecordBatch:
        """The rows added since the last flush, in their order."""
        arrays = [
            pa.nulls(self.rows, field.type) if column.type == "major" or column.copy_of else self._array(column, values)
            for column, values, field in zip(self.columns, self._values, self.schema, strict=False)
        ]
        self._add_majors(arrays)
        self._add_copies(arrays)
        if self._extra:
            kept = map(self._extra.get, range(self.rows))
            arrays.append(pa.array([None if each is None else encoded(each) for each in kept], pa.string()))
        else:
            arrays.append(pa.nulls(self.rows, pa.string()))
        self.rows = 0
        self._values = [[] for _ in self.columns]
        self._extra = {}
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _read(self, shape: Shape, page: Sequence[StripeObject]) -> None:
        layouts = set(map(tuple, page))
        undeclared = {
            layout: keys for layout in layouts if (keys := [key for key in layout if key not in shape.fields])
        }
        if undeclared and not shape.derived:
            self._keep_undeclared(shape, page, undeclared)
        values = _columns(page, layouts)
        for key, place in shape.fields.items():
            self._add(place, values.get(key) or [item.get(key) for item in page])

    def _add(self, place: Field, values: Sequence[Any]) -> None:
        if place.index is not None:
            if self.columns[place.index].type == "json":
                texts = [None if value is None else encoded(value) for value in values]
                self._values[place.index].extend(texts)
                if any(text is not None and _MARK in text for text in texts):
                    count = sum(text is not None and _MARK in text for text in texts)
                    self.drift.note(self.columns[place.index].path, "escaped", {}, count)
            else:
                self._values[place.index].extend(values)
        if place.shape is not None:
            self._add_objects(place.shape, values)

    def _add_objects(self, shape: Shape, values: Sequence[Any]) -> None:
        kinds = set(map(type, values))
        if not kinds <= {dict, NoneType}:
            for row, value in enumerate(values, self.rows):
                if value is not None and type(value) is not dict:
                    self._keep(row, shape.path, value, "wrong type", derived=shape.derived)
        if dict not in kinds:
            nulls = (None,) * len(values)
            for index in shape.indexes:
                self._values[index].extend(nulls)
        elif len(kinds) == 1:
            self._read(shape, values)
        else:
            self._read(shape, [value if type(value) is dict else _NOTHING for value in values])

    def _array(self, column: Column, values: Sequence[Any]) -> pa.Array:
        try:
            return cells.array(column.type, values)
        except (TypeError, ValueError, OverflowError):  # a value does not fit; the exact path finds it
            return cells.array(column.type, [self._cell(column, row, value) for row, value in enumerate(values)])

    def _cell(self, column: Column, row: int, value: Any) -> Any:
        cell = None if value is None else cells.cell(column.type, value)
        if cell is cells.MISFIT:
            self._keep(row, column.path, value, "wrong type", derived=column.derived)
            return None
        if column.type == "decimal" and cell != value and not column.derived:
            self._put(row, column.path, value)  # the number is in its column, its original text here
        return cell

    def _add_majors(self, arrays: list[pa.Array]) -> None:
        by_name = {column.name: index for index, column in enumerate(self.columns)}
        currencies = set()
        for index, column in enumerate(self.columns):
            if column.type == "major" and column.currency is not None:
                currency = by_name[column.currency]
                currencies.add(currency)
                amounts = arrays[by_name[column.name.removesuffix("_major")]]
                arrays[index] = money.major(amounts, arrays[currency], self._digits)
        for currency in currencies:
            for code, count in money.unknown_currencies(arrays[currency], self._digits).items():
                self.drift.note(self.columns[currency].path, "unknown currency", code, count)

    def _add_copies(self, arrays: list[pa.Array]) -> None:
        names = [column.name for column in self.columns]
        for index, column in enumerate(self.columns):
            if column.copy_of:
                arrays[index] = arrays[names.index(column.copy_of)]

    def _keep_undeclared(
        self, shape: Shape, page: Sequence[StripeObject], undeclared: Mapping[tuple[str, ...], Sequence[str]]
    ) -> None:
        for row, item in enumerate(page, self.rows):
            for key in undeclared.get(tuple(item), ()):
                self._keep(row, (*shape.path, key), item[key], "undeclared", derived=False)

    def _keep(self, row: int, path: tuple[str, ...], value: Any, kind: DriftKind, *, derived: bool) -> None:
        self.drift.note(path, "escaped" if kind == "wrong type" and is_escaped(value) else kind, value)
        if not derived and value is not None:
            self._put(row, path, value)

    def _put(self, row: int, path: tuple[str, ...], value: Any) -> None:
        *above, last = path
        place = self._extra.setdefault(row, {})
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value


def _columns(page: Sequence[StripeObject], layouts: set[tuple[str, ...]]) -> dict[str, Sequence[Any]]:
    """The values of the keys that every object has. Faster than looking up each key in each object."""
    if len(layouts) == 1:
        return dict(zip(*layouts, zip(*map(dict.values, page), strict=True), strict=True))
    common = set.intersection(*map(set, layouts))
    if len(common) < 2:
        return {}
    return dict(zip(common, zip(*map(itemgetter(*common), page), strict=True), strict=True))
