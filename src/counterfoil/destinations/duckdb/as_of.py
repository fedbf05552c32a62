"""The macro that returns a table as of an instant: `FROM charges__as_of('2027-01-01')`."""

from __future__ import annotations

import duckdb

from counterfoil.destinations.history import as_of
from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.text import quoted

#: Text in the definition of our macros, as DuckDB stores it.
_OURS = "_valid_from <= instant"
_MACROS = """SELECT function_name, macro_definition FROM duckdb_functions() WHERE NOT internal
    AND database_name = current_database() AND schema_name = 'main' AND function_type = 'table_macro'"""


def macros(cursor: duckdb.DuckDBPyConnection) -> dict[str, bool]:
    """The table macros, by their names in lower case, and whether Counterfoil created them."""
    return {same_name(name): _OURS in definition for name, definition in cursor.execute(_MACROS).fetchall()}


def make_macro(cursor: duckdb.DuckDBPyConnection, table: str, history: str) -> None:
    """Creates or replaces the macro. Its result includes columns that are added to the history later."""
    cursor.execute(f"""
        CREATE OR REPLACE MACRO main.{quoted(as_of(table))}(instant) AS TABLE
        SELECT * EXCLUDE (_valid_from, _valid_to) FROM main.{quoted(history)}
        WHERE {_OURS} AND (_valid_to IS NULL OR _valid_to > instant)
    """)  # noqa: S608 - quoted


def drop_macro(cursor: duckdb.DuckDBPyConnection, table: str) -> None:
    """Drops the macro if Counterfoil created it."""
    if macros(cursor).get(same_name(as_of(table))):
        cursor.execute(f"DROP MACRO TABLE main.{quoted(as_of(table))}")
