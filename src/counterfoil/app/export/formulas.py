"""Escapes text that a spreadsheet would execute as a formula, by an apostrophe before it.

https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

#: First characters of a formula, and characters that spreadsheets skip before a formula.
_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def escape_formula(text: str) -> str:
    """The text, with an apostrophe before it if it would be a formula."""
    return f"'{text}" if text.startswith(_BEGINNINGS) else text


def escape_formulas(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with all text columns escaped; other columns are unchanged."""
    columns = [_harmless(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _harmless(column: pa.Array) -> pa.Array:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    risky = pc.is_in(pc.utf8_slice_codeunits(column, 0, 1), _set(column.type))
    if not pc.any(risky, min_count=0).as_py():
        return column
    quoted = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
    return pc.if_else(risky, quoted, column)


@cache
def _set(kind: pa.DataType) -> pa.Array:
    return pa.array(_BEGINNINGS, kind)
