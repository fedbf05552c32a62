"""Amounts in the output have the digits of their currency, and keep every digit that they have."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.app.export.amounts import amount_text, amounts_as_text, currencies_of
from counterfoil.app.export.files import file_chunks, write_csv, write_file
from counterfoil.columns.money import DIGITS
from counterfoil.reports.catalogue import REPORTS
from tests.app.test_excel_file import cells

CURRENCIES = {"amount_major": "currency", "fee_major": "fee_currency"}
AMOUNTS = ["10.000", "4320.000", "1.050", None, "-0.500", "7.125", "3.000", "5.500"]
CODES = ["usd", "jpy", "KWD", "usd", None, "usd", "xxx", "jpy"]
SHOWN = ["10.00", "4320", "1.050", None, "-0.500", "7.125", "3.000", "5.500"]


def _batch(amounts: list[str | None] = AMOUNTS, codes: list[str | None] = CODES) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "amount_major": pa.array([one and Decimal(one) for one in amounts], pa.decimal128(22, 3)),
            "currency": pa.array(codes, pa.string()),
            # Its currency is not among the columns.
            "fee_major": pa.array([Decimal("1.000")] * len(amounts), pa.decimal128(22, 3)),
            "rate": pa.array([Decimal("2.500000000000")] * len(amounts), pa.decimal128(38, 12)),
        }
    )


def _reader() -> pa.RecordBatchReader:
    batch = _batch()
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])


def test_amounts_have_digits_of_currency() -> None:
    shown = amounts_as_text(_batch(), CURRENCIES)
    assert shown.column("amount_major").to_pylist() == SHOWN
    assert shown.column("fee_major") == _batch().column("fee_major")
    assert shown.column("rate") == _batch().column("rate")


@given(
    thousandths=st.integers(-(10**21), 10**21),
    currency=st.one_of(st.none(), st.sampled_from([*DIGITS, *(code.upper() for code in DIGITS)]), st.text(max_size=4)),
)
def test_text_of_any_amount_is_equal_to_it(thousandths: int, currency: str | None) -> None:
    value = Decimal(thousandths).scaleb(-3)
    text = amount_text(value, currency)
    assert Decimal(text) == value
    batch = amounts_as_text(_batch([str(value)], [currency]), CURRENCIES)
    assert batch.column("amount_major").to_pylist() == [text]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_text_files_have_digits_of_currency(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"rows{suffix}"
    assert write_file(_reader(), file, currencies=CURRENCIES) == len(SHOWN)
    text = file.read_text()
    rows = csv.DictReader(text.splitlines()) if suffix == ".csv" else map(json.loads, text.splitlines())
    assert [row["amount_major"] or None for row in rows] == SHOWN
    assert b"".join(file_chunks(_reader(), suffix, currencies=CURRENCIES)) == file.read_bytes()


def test_csv_stream_has_digits_of_currency() -> None:
    out = io.StringIO()
    write_csv(_reader(), out, currencies=CURRENCIES)
    assert [row["amount_major"] or None for row in csv.DictReader(out.getvalue().splitlines())] == SHOWN


def test_parquet_keeps_type(tmp_path: Path) -> None:
    write_file(_reader(), tmp_path / "rows.parquet", currencies=CURRENCIES)
    assert pyarrow.parquet.read_schema(tmp_path / "rows.parquet").field("amount_major").type == pa.decimal128(22, 3)


def test_excel_cells_are_numbers_with_digits_of_currency(tmp_path: Path) -> None:
    write_file(_reader(), tmp_path / "rows.xlsx", currencies=CURRENCIES)
    found = cells(tmp_path / "rows.xlsx")
    formats = [found[f"A{row}"][2] if f"A{row}" in found else None for row in range(2, len(AMOUNTS) + 2)]
    three = "#,##0.000"
    assert formats == ["#,##0.00", "#,##0", three, None, three, three, three, three]
    assert [Decimal(found[f"A{row}"][1]) for row in (2, 3, 4)] == [Decimal(10), Decimal(4320), Decimal("1.05")]


def test_every_report_with_amounts_names_their_currencies() -> None:
    for report in REPORTS:
        majors = {column.name for column in report.columns if column.type == "major"}
        assert set(currencies_of(report.key)) == majors
