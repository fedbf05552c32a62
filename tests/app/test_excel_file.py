"""Rows as an Excel workbook: typed values, text for numbers that Excel would round, and the limit of rows."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from counterfoil.app.export import excel
from counterfoil.app.export.files import check_file, file_chunks, write_file
from counterfoil.errors import RunError, SettingsError

_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
NOON = dt.datetime(2027, 1, 4, 12, 30, tzinfo=dt.UTC)
ROWS = pa.table(
    {
        "id": ["ch_1", "00123", "=1+1"],
        "created": pa.array([NOON, NOON, None], pa.timestamp("us", tz="UTC")),
        "day": pa.array([dt.date(2027, 1, 4), None, None], pa.date32()),
        "amount": pa.array([1050, 123_456_789_012_345_678, None], pa.int64()),
        "amount_major": pa.array([Decimal("10.500"), Decimal("1.050"), None], pa.decimal128(22, 3)),
        "paid": [True, False, None],
        "text": ["a" * 40_000, "short", None],
    }
)


def cells(file: Path) -> dict[str, tuple[str | None, str, str | None]]:
    """The type, the text and the number format of each cell."""
    with zipfile.ZipFile(file) as book:
        tree = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        styles = ElementTree.fromstring(book.read("xl/styles.xml"))
    formats = {one.get("numFmtId"): one.get("formatCode") for one in styles.iter(f"{_SHEET}numFmt")}
    kinds = [formats.get(one.get("numFmtId")) for one in styles.find(f"{_SHEET}cellXfs") or ()]
    return {
        str(cell.get("r")): (cell.get("t"), "".join(cell.itertext()), kinds[int(cell.get("s") or 0)])
        for cell in tree.iter(f"{_SHEET}c")
    }


@pytest.fixture
def written(tmp_path: Path) -> dict[str, tuple[str | None, str, str | None]]:
    file = tmp_path / "rows.xlsx"
    assert write_file(ROWS.to_reader(), file) == 3
    return cells(file)


def test_values_have_excel_types(written: dict[str, tuple[str | None, str, str | None]]) -> None:
    assert [written[f"{column}1"][1] for column in "ABCDEFG"] == ROWS.column_names
    assert (written["A2"][:2], written["A3"][:2]) == (("inlineStr", "ch_1"), ("inlineStr", "00123"))
    assert written["A4"][:2] == ("inlineStr", "=1+1"), "text is a formula"
    days = (dt.date(2027, 1, 4) - dt.date(1899, 12, 30)).days
    assert (float(written["B2"][1]), written["B2"][2]) == (pytest.approx(days + 12.5 / 24), "yyyy-mm-dd hh:mm:ss")
    assert (float(written["C2"][1]), written["C2"][2]) == (days, "yyyy-mm-dd")
    assert (written["D2"][1], written["E2"][1:]) == ("1050", ("10.500", "#,##0.000"))
    assert (written["F2"][:2], written["F3"][:2]) == (("b", "1"), ("b", "0"))
    assert not {"B4", "D4", "E4", "F4", "G4"} & written.keys()


def test_long_numbers_and_texts_are_written_as_text(written: dict[str, tuple[str | None, str, str | None]]) -> None:
    assert written["D3"][:2] == ("inlineStr", "123456789012345678")
    assert len(written["G2"][1]) == 32_767
    assert written["G2"][1].endswith("…")


def test_too_many_rows_for_a_sheet_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "_MOST_ROWS", 3)
    with pytest.raises(RunError, match="more than 3") as error:
        write_file(ROWS.to_reader(), tmp_path / "rows.xlsx")
    assert "--limit" in str(error.value.hint)
    assert list(tmp_path.iterdir()) == []
    assert write_file(ROWS.to_reader(), tmp_path / "rows.xlsx", limit=2) == 2


def test_chunks_of_a_download_equal_the_file(tmp_path: Path) -> None:
    (tmp_path / "chunks.xlsx").write_bytes(b"".join(file_chunks(ROWS.to_reader(), ".xlsx")))
    write_file(ROWS.to_reader(), tmp_path / "whole.xlsx")
    assert cells(tmp_path / "chunks.xlsx") == cells(tmp_path / "whole.xlsx")


def test_json_lines_are_written_like_downloads(tmp_path: Path) -> None:
    write_file(ROWS.to_reader(), tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").read_bytes() == b"".join(file_chunks(ROWS.to_reader(), ".jsonl"))


def test_unsupported_suffix_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"unsupported file type: \.xls") as error:
        check_file(tmp_path / "rows.xls")
    assert re.search(r"\.csv, \.xlsx, \.parquet or \.jsonl", str(error.value.hint))
