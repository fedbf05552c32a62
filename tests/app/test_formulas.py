"""Text that a spreadsheet would execute: escaped with an apostrophe in CSV only."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.app.export.files import file_chunks, write_csv, write_file
from counterfoil.app.export.formulas import escape_formula, escape_formulas

RISKY = ["=1+1", "+49 30 1", "-5", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)"]
SAFE = ["ch_1=2", " =1", "", "a-b", "'=1", "−5", None]


def rows() -> pa.Table:
    many = len(RISKY + SAFE)
    return pa.table(
        {
            "name": pa.array(RISKY + SAFE),
            "amount": pa.array([-500] * many),
            "amount_major": pa.array([Decimal("-5.000")] * many, pa.decimal128(22, 3)),
            "created": pa.array([datetime(2027, 1, 4, tzinfo=UTC)] * many),
        }
    )


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_formulas_are_escaped_and_other_text_is_unchanged(kind: pa.DataType) -> None:
    batch = pa.record_batch({"text": pa.array(RISKY + SAFE, kind)})
    assert escape_formulas(batch)["text"].to_pylist() == [*(f"'{one}" for one in RISKY), *SAFE]
    assert escape_formulas(batch).schema == batch.schema


@given(st.text(max_size=3))
def test_rows_are_escaped_like_a_single_text(text: str) -> None:
    assert escape_formulas(pa.record_batch({"text": [text]}))["text"].to_pylist() == [escape_formula(text)]


def test_numbers_in_csv_are_unchanged() -> None:
    text = b"".join(file_chunks(rows().to_reader(), ".csv")).decode()
    assert [one["name"] for one in read(text)[: len(RISKY)]] == [f"'{one}" for one in RISKY]
    assert {(one["amount"], one["amount_major"], one["created"]) for one in read(text)} == {
        ("-500", "-5.000", "2027-01-04 00:00:00.000000Z")
    }


def test_as_is_csv_and_parquet_are_not_escaped(tmp_path: Path) -> None:
    names = [one or "" for one in RISKY + SAFE]
    out = io.StringIO()
    write_csv(rows().to_reader(), out, as_is=True)
    assert [one["name"] for one in read(out.getvalue())] == names
    write_file(rows().to_reader(), tmp_path / "rows.csv", as_is=True)
    assert [one["name"] for one in read((tmp_path / "rows.csv").read_bytes().decode())] == names
    write_file(rows().to_reader(), tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet")["name"].to_pylist() == RISKY + SAFE
    assert pq.read_table(pa.BufferReader(b"".join(file_chunks(rows().to_reader(), ".parquet")))).equals(rows())
