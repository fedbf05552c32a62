"""Rebuilds an object from its row, which shows that flattening loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from counterfoil.columns.cells import plain
from counterfoil.columns.column import Column

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rebuild(columns: Iterable[Column], row: Mapping[str, Any]) -> dict[str, Any]:
    """The object of a row, without nulls and empty values, and with ids instead of expanded objects.

    The row contains Python values: aware datetimes, decimals, and JSON as text.
    """
    result: dict[str, Any] = {}
    for column in columns:
        value = row[column.name]
        if value is not None and not column.derived and column.path:
            _put(result, column.path, _sent(column, value))
    _merge(result, json.loads(row["_extra"] or "{}"))
    pruned: dict[str, Any] = without_empties(result) or {}
    return pruned


def without_empties(value: Any) -> Any:
    """The value without nulls, `{}`, `[]` and objects that contain only these; None if nothing is left.

    Entries of lists keep their positions.
    """
    if isinstance(value, dict):
        kept = {
            key: each for key, each in ((key, without_empties(each)) for key, each in value.items()) if each is not None
        }
        return kept or None
    if isinstance(value, list):
        return [without_empties(each) for each in value] or None
    return value


def _sent(column: Column, value: Any) -> Any:
    match column.type:
        case "timestamp":
            return (value - _EPOCH) // timedelta(seconds=1)
        case "json":
            return json.loads(value)
        case "decimal":
            return plain(value)
        case _:
            return value


def _put(result: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        result = result.setdefault(key, {})
    result[path[-1]] = value


def _merge(result: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            _merge(result[key], value)
        else:
            result[key] = value
