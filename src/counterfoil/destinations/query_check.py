"""Checks user queries: one SELECT over tables and their histories; no files, no settings, no other functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import orjson

from counterfoil.destinations.duckdb.as_of import macros
from counterfoil.destinations.protocol import same_name
from counterfoil.errors import RunError

#: Table functions that read nothing.
_GIVERS = frozenset({"generate_series", "range", "unnest"})
_NAMES = "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"
_AGGREGATES = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
#: Classes of nodes of a parsed query that call a function.
_CALLS = frozenset({"FUNCTION", "WINDOW"})
#: Columns that identify the run of a row.
OF_A_RUN = frozenset({"_run", "_synced_at"})
_HINT = "Use one SELECT over the datasets' tables; for anything else, use DuckDB's command line."


def check_question(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    """RunError unless the query is one SELECT over tables and views of the destination, or over their histories.

    DuckDB's own parser decides, so a comment, a quote or a subquery can't hide anything.
    """
    statements = cursor.extract_statements(sql)
    if len(statements) != 1:
        count = "nothing" if not statements else f"{len(statements)} statements"
        raise RunError(f"expected one SELECT, got {count}", hint=_HINT)
    if statements[0].type != duckdb.StatementType.SELECT:
        raise RunError(f"expected a SELECT, got {statements[0].type.name}", hint=_HINT)
    ((serialized,),) = cursor.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = orjson.loads(serialized)
    if tree["error"]:
        raise RunError("the query is not a SELECT", hint=_HINT)
    known = {name for (name,) in cursor.execute(_NAMES).fetchall()}
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "TABLE_FUNCTION":
            function = str(node.get("function", {}).get("function_name", ""))
            if function.lower() not in _GIVERS and not macros(cursor).get(same_name(function)):
                raise RunError(
                    f"{function}() reads more than the datasets' tables", hint=_HINT, code="query_not_allowed"
                )
        name = node.get("table_name", "")
        if kind == "BASE_TABLE" and name not in known and any(sign in name for sign in "/\\*?"):
            raise RunError(f"{name!r} is a file, not a table", hint=_HINT, code="query_not_allowed")


def adds_up(sql: str) -> frozenset[str]:
    """Tables and views that one SELECT in DuckDB's SQL aggregates without using a column that identifies runs."""
    with duckdb.connect() as database:
        ((serialized,),) = database.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
        added = {name for (name,) in database.execute(_AGGREGATES).fetchall()}
    tree = orjson.loads(serialized)
    if tree["error"] or _tells_runs_apart(tree):
        return frozenset()
    calls = {str(node.get("function_name", "")).lower() for node in _nodes(tree) if node.get("class") in _CALLS}
    return frozenset(_tables(tree)) if calls & added else frozenset()


def _tells_runs_apart(tree: Any) -> bool:
    columns = (node["column_names"] for node in _nodes(tree) if node.get("type") == "COLUMN_REF")
    return any(same_name(names[-1]) in OF_A_RUN for names in columns)


def _tables(tree: Any) -> Iterator[str]:
    """Names of tables and views, without those that a WITH clause defines."""
    waiting: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while waiting:
        one, given = waiting.pop()
        if isinstance(one, list):
            waiting.extend((each, given) for each in one)
        if not isinstance(one, dict):
            continue
        name = one.get("table_name", "")
        if one.get("type") == "BASE_TABLE" and (one.get("schema_name") or same_name(name) not in given):
            yield name
        for part in (one.get("cte_map") or {}).get("map", ()):
            waiting.append((part["value"], given))
            given |= {same_name(part["key"])}
        waiting.extend((value, given) for key, value in one.items() if key != "cte_map")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the parsed query."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
