"""The macro that gives a table as it was at an instant: `FROM charges__as_of('2027-01-01')`."""

from __future__ import annotations

import duckdb

from counterfoil.destinations.history import as_of
from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.text import quoted

#: What the definition of our macros says, as DuckDB writes it down.
_OURS = "_valid_from <= instant"
_MACROS = """SELECT function_name, macro_definition FROM duckdb_functions() WHERE NOT internal
    AND database_name = current_database() AND schema_name = 'main' AND function_type = 'table_macro'"""


def macros(cursor: duckdb.DuckDBPyConnection) -> dict[str, bool]:
    """Of each macro that gives rows, by its name as databases compare it, whether it is ours."""
    return {same_name(name): _OURS in definition for name, definition in cursor.execute(_MACROS).fetchall()}


def make_macro(cursor: duckdb.DuckDBPyConnection, table: str, history: str) -> None:
    """Makes the macro, or makes it anew; columns that the history gets later are in what it gives."""
    cursor.execute(f"""
        CREATE OR REPLACE MACRO main.{quoted(as_of(table))}(instant) AS TABLE
        SELECT * EXCLUDE (_valid_from, _valid_to) FROM main.{quoted(history)}
        WHERE {_OURS} AND (_valid_to IS NULL OR _valid_to > instant)
    """)  # noqa: S608 - quoted


def drop_macro(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    """Removes the macro if it is there and ours."""
    if macros(cursor).get(same_name(as_of(table))):
        cursor.execute(f"DROP MACRO TABLE main.{quoted(as_of(table))}")
