"""Compares two sets of rows by key and field. The comparison runs on disk; neither set is in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from counterfoil.columns.column import Column
from counterfoil.destinations.sql.parts_tables import PartsTables
from counterfoil.destinations.sql.text import quoted
from counterfoil.proof.check import MOST_DIFFERENCES
from counterfoil.proof.table_queries import Ask, one, rows, shortened

#: Maximum number of differing rows that are explained.
MOST_LOOKED_AT = 20_000

#: Whether a difference is acceptable, by the row in the table and at Stripe (None if missing) and the changed columns.
Excuse = Callable[[Mapping[str, Any] | None, Mapping[str, Any] | None, Sequence[str]], bool]


@dataclass(slots=True)
class Comparison:
    """The result of a comparison."""

    held: int = 0
    listed: int = 0
    #: Number of rows by kind: `missing`, `extra` or `doubled` in the table, or `different`.
    faults: Counter[str] = field(default_factory=Counter)
    #: Number of differences by column.
    fields: Counter[str] = field(default_factory=Counter)
    excused: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    #: Whether there were too many differing rows to explain all of them.
    cut: bool = False

    def add(self, kind: str, key: Mapping[str, Any], changes: Sequence[dict[str, Any]] = ()) -> None:
        self.faults[kind] += 1
        self.fields.update(change["column"] for change in changes)
        if len(self.differences) < MOST_DIFFERENCES:
            self.differences.append({"fault": kind, **key, **({"fields": list(changes)} if changes else {})})


def compare(
    tables: PartsTables,
    held: str,
    listed: str,
    columns: Sequence[Column],
    key: Sequence[str],
    *,
    excuse: Excuse,
    brought: bool = False,
    rewritten: bool = False,
) -> Comparison:
    """Compares the table's rows (`held`) with the expected rows (`listed`); both are SQL expressions for FROM.

    Both contain all of the columns. `brought`: rows that are only listed are no difference, and rows listed more than
    once are ignored, because it is unknown which one is right. `rewritten`: one side stores JSON reformatted.
    """
    sides = {"held": held, "listed": listed}
    keys = ", ".join(map(quoted, key))
    texts = [column for column in columns if column.type == "json"] if rewritten else []
    values = ", ".join(_text(column) for column in columns if column not in texts)
    # The rows are wide, so only their fingerprints are joined.
    for name, side in sides.items():
        fingerprints = f"SELECT {keys}, hash({values}) AS fingerprint"
        if texts:
            aliased = ", ".join(f"{_text(column)} AS text{number}" for number, column in enumerate(texts))
            names = [f"text{number}" for number in range(len(texts))]
            side = tables.canonical(name, f"{fingerprints}, {aliased} FROM {side} AS every", names)  # noqa: PLW2901
            fingerprints = f"SELECT {keys}, hash(fingerprint, {', '.join(names)}) AS fingerprint"
        tables.keep(name, f"{fingerprints} FROM {side} AS every")
    if brought:
        _leave_out(tables, key)
    tables.keep("differing", _differing(key))
    counts = ", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for name in ("held", "listed", "differing"))  # noqa: S608 - ours
    total = one(tables.ask, f"SELECT {counts}")
    found = Comparison(held=total["held"], listed=total["listed"])
    _doubled(tables.ask, key, found)
    if total["differing"]:
        _explain(tables.ask, sides, columns, key, excuse, found)
    return found


def _leave_out(tables: PartsTables, key: Sequence[str]) -> None:
    """Removes rows listed more than once from both sides, and rows that are only listed."""
    keys = ", ".join(map(quoted, key))
    tables.keep("doubled", f"SELECT {keys} FROM listed GROUP BY {keys} HAVING count(*) > 1")  # noqa: S608 - quoted
    for name, other in (("held", ""), ("listed", f"SEMI JOIN held ON {_same(key, 'side', 'held')}")):
        without = f"ANTI JOIN doubled ON {_same(key, 'side', 'doubled')}"
        tables.keep(name, f"SELECT side.* FROM {name} AS side {other} {without}")  # noqa: S608 - quoted


def _doubled(ask: Ask, key: Sequence[str], found: Comparison) -> None:
    keys = ", ".join(map(quoted, key))
    sql = f"SELECT {keys}, count(*) AS n FROM held GROUP BY {keys} HAVING count(*) > 1 ORDER BY {keys}"  # noqa: S608 - quoted
    for row in rows(ask, sql):
        found.add("doubled", {name: shortened(row[name]) for name in key} | {"rows": row["n"]})


def _differing(key: Sequence[str]) -> str:
    """SQL for the keys of rows that differ between both sides."""
    keys = ", ".join(f"coalesce(held.{quoted(name)}, listed.{quoted(name)}) AS {quoted(name)}" for name in key)
    return (
        f"SELECT DISTINCT {keys} FROM held FULL JOIN listed ON {_same(key, 'held', 'listed')} "  # noqa: S608 - quoted
        f"WHERE held.fingerprint IS DISTINCT FROM listed.fingerprint LIMIT {MOST_LOOKED_AT + 1}"
    )


def _explain(
    ask: Ask, sides: Mapping[str, str], columns: Sequence[Column], key: Sequence[str], excuse: Excuse, found: Comparison
) -> None:
    """Explains each differing row: which columns differ, and whether that is acceptable."""
    keys = ", ".join(f"every.{quoted(name)}" for name in key)
    chosen = ", ".join(f"{_text(column)} AS {quoted(column.name)}" for column in columns)
    wide = {
        name: f"(SELECT DISTINCT ON ({keys}) true AS present, {chosen} FROM {side} AS every "  # noqa: S608 - quoted
        f"SEMI JOIN differing ON {_same(key, 'every', 'differing')}) AS wide_{name}"
        for name, side in sides.items()
    }
    picked = ", ".join(
        f"wide_{name}.{quoted(column)} AS {quoted(f'{name}.{column}')}"
        for name in sides
        for column in ("present", *(column.name for column in columns))
    )
    sql = (
        f"SELECT differing.*, {picked} FROM differing "  # noqa: S608 - quoted
        f"LEFT JOIN {wide['held']} ON {_same(key, 'differing', 'wide_held')} "
        f"LEFT JOIN {wide['listed']} ON {_same(key, 'differing', 'wide_listed')} "
        f"ORDER BY {', '.join(f'differing.{quoted(name)}' for name in key)}"
    )
    for number, row in enumerate(rows(ask, sql)):
        if number >= MOST_LOOKED_AT:
            found.cut = True
            return
        _look(row, columns, key, excuse, found)


def _look(
    row: Mapping[str, Any], columns: Sequence[Column], key: Sequence[str], excuse: Excuse, found: Comparison
) -> None:
    one_key = {name: shortened(row[name]) for name in key}
    held, listed = (
        {column.name: row[f"{side}.{column.name}"] for column in columns} if row[f"{side}.present"] else None
        for side in ("held", "listed")
    )
    changed = [] if held is None or listed is None else list(_changed(columns, held, listed))
    if held is not None and listed is not None and not changed:
        return  # equal JSON in different formatting
    if excuse(held, listed, changed):
        found.excused += 1
    elif held is None:
        found.add("missing", one_key)
    elif listed is None:
        found.add("extra", one_key)
    else:
        found.add(
            "different",
            one_key,
            [{"column": name, "table": shortened(held[name]), "expected": shortened(listed[name])} for name in changed],
        )


def _changed(columns: Sequence[Column], held: Mapping[str, Any], listed: Mapping[str, Any]) -> Iterator[str]:
    for column in columns:
        mine, theirs = held[column.name], listed[column.name]
        if mine != theirs and not (column.type == "json" and _same_json(mine, theirs)):
            yield column.name


def _same_json(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts have equal values; the order of an object's members does not matter."""
    if one is None or other is None:
        return False
    try:
        same: bool = orjson.loads(one) == orjson.loads(other)
    except ValueError:
        return False
    return same


def _text(column: Column) -> str:
    return f"CAST({quoted(column.name)} AS VARCHAR)" if column.type == "json" else quoted(column.name)


def _same(key: Sequence[str], one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quoted(name)} IS NOT DISTINCT FROM {other}.{quoted(name)}" for name in key)
