"""Amounts in major units as text with the digits of their currency: 10.00 usd, 4320 jpy, 1.050 kwd."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from counterfoil.columns.money import DIGITS, SCALE
from counterfoil.reports.catalogue import report as report_of

#: The currency column of each column with amounts in major units.
Currencies = Mapping[str, str]
NO_CURRENCIES: Currencies = {}


def currencies_of(report: str) -> Currencies:
    """The currency columns of a report's amounts."""
    return {one.name: one.currency for one in report_of(report).columns if one.type == "major" and one.currency}


def amount_text(value: Decimal, currency: str | None) -> str:
    """An exact amount with the currency's digits, and with more where the value has more."""
    text = f"{value:f}"
    count = DIGITS.get((currency or "").lower())
    if count is None or not value.is_finite():
        return text
    whole, _, fraction = text.partition(".")
    if fraction[count:].strip("0"):
        return text
    fraction = fraction[:count].ljust(count, "0")
    return f"{whole}.{fraction}" if fraction else whole


def amounts_as_text(batch: pa.RecordBatch, currencies: Currencies) -> pa.RecordBatch:
    """The batch with its amounts as text; other columns are unchanged."""
    columns = [
        column if currency is None else _texts(column, batch.column(currency))
        for column, currency in (
            (column, _currency(batch.schema, field, currencies))
            for field, column in zip(batch.schema, batch.columns, strict=True)
        )
    ]
    return pa.record_batch(columns, schema=amounts_schema(batch.schema, currencies))


def row_with_text(row: Mapping[str, Any], currencies: Currencies) -> dict[str, Any]:
    """The row with its amounts as text."""
    return {
        name: amount_text(value, row[currencies[name]])
        if isinstance(value, Decimal) and currencies.get(name) in row
        else value
        for name, value in row.items()
    }


def amounts_schema(schema: pa.Schema, currencies: Currencies) -> pa.Schema:
    """The schema of `amounts_as_text`."""
    fields = (field.with_type(pa.string()) if _currency(schema, field, currencies) else field for field in schema)
    return pa.schema(list(fields))


def _currency(schema: pa.Schema, field: pa.Field, currencies: Currencies) -> str | None:
    currency = currencies.get(field.name)
    if currency not in schema.names or not pa.types.is_decimal(field.type) or field.type.scale != SCALE:
        return None
    return currency


def _texts(amounts: pa.Array, currencies: pa.Array) -> pa.Array:
    text = amounts.cast(pa.string())
    encoded = currencies.cast(pa.string()).dictionary_encode()
    counts = pa.array([DIGITS.get((code or "").lower()) for code in encoded.dictionary.to_pylist()], pa.int8())
    count = counts.take(encoded.indices)
    for end, few in ((".000", 0), ("0", 2)):
        shorter = pc.utf8_slice_codeunits(text, 0, -len(end))
        fits = pc.and_(pc.fill_null(pc.equal(count, few), False), pc.ends_with(text, end))
        text = pc.if_else(fits, shorter, text)
    return text
