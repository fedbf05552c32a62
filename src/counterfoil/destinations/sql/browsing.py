"""SQL to browse a table: pages, filters, sort and column profiles. Every value is a literal.

SQL that works in both DuckDB and Postgres is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from counterfoil.destinations.kind import Dialect
from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.errors import SettingsError

#: Comparisons. `contains` compares text and ignores case; `empty` and `filled` take no value.
Test = Literal["is", "is_not", "contains", "over", "under", "empty", "filled"]

_COMPARED = {"is": "IS NOT DISTINCT FROM", "is_not": "IS DISTINCT FROM", "over": ">", "under": "<"}
Columns = Sequence[tuple[str, str]]

#: The row identifier of each dialect.
_PLACES: dict[Dialect, str] = {"duckdb": "rowid", "postgresql": "ctid"}
#: Text types, which accept any value.
_TEXTS = frozenset({"VARCHAR", "JSON", "text"})
#: Types without min() and max() in Postgres.
_UNORDERED = frozenset({"jsonb", "json", "boolean"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A condition on one column."""

    column: str
    test: Test
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The rows of a table to show, and their order: column names, with `-` for descending."""

    filters: tuple[Filter, ...] = ()
    sort: tuple[str, ...] = ()


def rows_sql(
    table: str,
    columns: Columns,
    view: View,
    *,
    limit: int | None = None,
    offset: int = 0,
    only: Sequence[str] | None = None,
) -> str:
    """The rows of the view, all of them or a page, with all columns or `only` some existing ones.

    SettingsError for an unknown column or an invalid value.
    """
    page = "" if limit is None else f" LIMIT {int(limit)} OFFSET {int(offset)}"
    return f"SELECT {_names(only)} {_from(table, columns, view)}{_order(columns, view.sort)}{page}"


def page_sql(
    table: str,
    columns: Columns,
    view: View,
    *,
    limit: int,
    offset: int,
    total: int,
    only: Sequence[str] | None = None,
    dialect: Dialect = "duckdb",
) -> str:
    """A page of a table (not of a database view or file) whose view has `total` rows. Ties are in stored order.

    Only the sort columns of all rows are read, from the nearer end. Otherwise a page deep in a million rows would
    load all of their columns into memory.
    """
    offset = min(offset, total)
    limit = min(limit, total - offset)
    back = total - offset - limit
    terms = _terms(columns, view.sort)
    place = _PLACES[dialect]
    near = [f"{name} {way} NULLS LAST" for name, way in terms] + [place]
    far = [f"{name} {'ASC' if way == 'DESC' else 'DESC'} NULLS FIRST" for name, way in terms] + [f"{place} DESC"]
    order, skipped = (near, offset) if offset <= back else (far, back)
    part = f"ORDER BY {', '.join(order)} LIMIT {int(limit)} OFFSET {int(skipped)}"
    chosen = f"SELECT {place} {_from(table, columns, view)} {part}"
    return f"SELECT {_names(only)} FROM {quoted(table)} WHERE {place} IN ({chosen}) ORDER BY {', '.join(near)}"  # noqa: S608 - quoted


def count_sql(table: str, columns: Columns, view: View) -> str:
    """The number of rows of the view, as `rows`."""
    return f"SELECT count(*) AS rows {_from(table, columns, view)}"


def runs_sql(table: str) -> str:
    """The number of different runs of the rows of the table, as `runs`."""
    return f"SELECT count(DISTINCT _run) AS runs FROM {quoted(table)}"  # noqa: S608 - quoted


def profile_sql(table: str, columns: Columns, column: str, view: View, dialect: Dialect = "duckdb") -> str:
    """The profile of a column of the view: rows, nulls, distinct values (estimated), minimum and maximum as text."""
    known, kind = _known(columns, column)
    name = quoted(known)
    ordered = f"{name}::VARCHAR" if dialect == "postgresql" and kind in _UNORDERED else name
    distinct = "approx_count_distinct({})" if dialect == "duckdb" else "count(DISTINCT {})"
    return (
        f"SELECT count(*) AS rows, count(*) - count({name}) AS nulls, "
        f"{distinct.format(name)} AS distinct_values, "
        f"min({ordered})::VARCHAR AS least, max({ordered})::VARCHAR AS greatest {_from(table, columns, view)}"
    )


def top_sql(table: str, columns: Columns, column: str, view: View, *, limit: int = 10) -> str:
    """The most frequent values of a column of the view, as text, with their counts."""
    name = quoted(_known(columns, column)[0])
    return (
        f"SELECT {name}::VARCHAR AS value, count(*) AS rows {_from(table, columns, view)} "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 NULLS LAST LIMIT {int(limit)}"
    )


def _names(only: Sequence[str] | None) -> str:
    return "*" if only is None else ", ".join(map(quoted, only))


def _from(table: str, columns: Columns, view: View) -> str:
    conditions = [_condition(columns, one) for one in view.filters]
    return f"FROM {quoted(table)}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")


def _condition(columns: Columns, chosen: Filter) -> str:
    name, kind = _known(columns, chosen.column)
    if chosen.test not in get_args(Test):
        raise SettingsError(f"unknown filter: {chosen.test!r}", hint=f"Use one of: {', '.join(get_args(Test))}.")
    if chosen.test in ("empty", "filled"):
        return f"{quoted(name)} IS {'NOT ' * (chosen.test == 'filled')}NULL"
    if chosen.test == "contains":
        return f"strpos(lower({quoted(name)}::VARCHAR), lower({literal(chosen.value)})) > 0"
    return f"{quoted(name)} {_COMPARED[chosen.test]} {_value(kind, chosen)}"


def _value(kind: str, chosen: Filter) -> str:
    """The value as a literal of the column's type."""
    if "\0" in chosen.value:
        raise SettingsError("the value contains a NUL character", hint="Remove it.")
    return literal(chosen.value) if kind in _TEXTS else f"CAST({literal(chosen.value)} AS {kind})"


def _order(columns: Columns, sort: Iterable[str]) -> str:
    terms = [f"{name} {way} NULLS LAST" for name, way in _terms(columns, sort)]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


def _terms(columns: Columns, sort: Iterable[str]) -> list[tuple[str, str]]:
    return [(quoted(_known(columns, name.removeprefix("-"))[0]), "DESC" if name[:1] == "-" else "ASC") for name in sort]


def _known(columns: Columns, name: str) -> tuple[str, str]:
    for known, kind in columns:
        if same_name(known) == same_name(name):
            return known, kind
    raise SettingsError(f"column {name!r} not found in this table", hint="Use a column of the table's schema.")
