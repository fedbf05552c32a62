"""Converts Stripe's values to cells of a column: a fast path for whole columns, an exact path for single values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import NoneType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from counterfoil.columns.column import ColumnType
from counterfoil.columns.schema import arrow_types

#: The years 1 to 9999: the range that Python, Postgres and DuckDB all support.
EARLIEST = -62_135_596_800
LATEST = 253_402_300_799
INT64 = range(-(2**63), 2**63)
#: The range in which a double represents every integer.
DOUBLE = range(-(2**53), 2**53 + 1)

#: The canonical form of a decimal string, which Stripe sends and which can be restored from the number.
_CANONICAL = re.compile(r"0|-?(?:[1-9][0-9]{0,25}(?:\.[0-9]{0,11}[1-9])?|0\.[0-9]{0,11}[1-9])").fullmatch

#: Any form of a number that has a short canonical form.
_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(?:\.[0-9]{0,60})?(?:[eE][+-]?[0-9]{1,2})?").fullmatch

#: Marks a value that does not fit its column's type.
MISFIT: Final = object()

#: The allowed types for columns where pyarrow would convert values of other types, such as 1.5 to 1 and True to 1.0.
STRICT: Mapping[ColumnType, frozenset[type]] = {
    "integer": frozenset({int, NoneType}),
    "double": frozenset({float, int, NoneType}),
    "timestamp": frozenset({int, NoneType}),
}


def array(kind: ColumnType, values: Sequence[Any]) -> pa.Array:
    """The values as a column; JSON must be text already. TypeError, ValueError or OverflowError if a value misfits."""
    if kind in STRICT and not set(map(type, values)) <= STRICT[kind]:
        raise TypeError(f"some values are not of the type {kind}")
    match kind:
        case "timestamp":
            seconds = pa.array(values, pa.int64())
            _check(seconds, lambda low, high: low >= EARLIEST and high <= LATEST)
            return pc.multiply(seconds, 1_000_000).cast(arrow_types()[kind])
        case "double":
            doubles = pa.array(values, pa.float64())
            _check(doubles, lambda low, high: math.isfinite(low) and math.isfinite(high))
            if pc.any(pc.is_nan(doubles)).as_py():
                raise ValueError("not a number")
            return doubles
        case "decimal":
            if not all(value is None or _CANONICAL(value) for value in values):
                raise ValueError("not a decimal number in canonical form")
            return pa.array(values, pa.string()).cast(arrow_types()[kind])
        case _:
            return pa.array(values, arrow_types()[kind])


def _check(numbers: pa.Array, fits: Callable[[Any, Any], bool]) -> None:
    bounds = pc.min_max(numbers)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is not None and not fits(low, high):
        raise ValueError(f"from {low} to {high} is out of range")


def cell(kind: ColumnType, value: Any) -> Any:
    """The cell for a value that is not None, in a column that is not JSON; MISFIT if the value does not fit."""
    match kind:
        case "string":
            return value if is_text(value) else MISFIT
        case "id":
            return _id(value)
        case "integer":
            return value if type(value) is int and value in INT64 else MISFIT
        case "double":
            fits = (type(value) is float and math.isfinite(value)) or (type(value) is int and value in DOUBLE)
            return value if fits else MISFIT
        case "boolean":
            return value if type(value) is bool else MISFIT
        case "timestamp":
            return value if type(value) is int and EARLIEST <= value <= LATEST else MISFIT
        case _:
            return _decimal(value)


def is_text(value: Any) -> bool:
    """Whether the value is a string that UTF-8 can represent."""
    if type(value) is not str:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _id(value: Any) -> Any:
    """Stripe sends an expandable field as the id or, when expanded, as the object."""
    if type(value) is dict:
        value = value.get("id")
    return value if is_text(value) else MISFIT


def _decimal(value: Any) -> Any:
    if type(value) is not str or not _NUMBER(value):
        return MISFIT
    text = plain(Decimal(value))
    return text if _CANONICAL(text) else MISFIT


def plain(number: Decimal) -> str:
    """A decimal number without an exponent, trailing zeros or a negative zero."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
