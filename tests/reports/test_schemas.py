"""The schema of each report's table as a committed file, so that every change of it is deliberate.

To update the files: `COUNTERFOIL_SNAPSHOTS=write pytest tests/reports/test_schemas.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from counterfoil.columns.schema import SQL_TYPES, arrow_schema, sql_type
from counterfoil.reports.catalogue import REPORTS, columns_of
from counterfoil.reports.report import Report

FOLDER = Path(__file__).parent / "schemas"


def described(found: Report) -> str:
    lines = [
        f"{column.name} {SQL_TYPES[column.type]}" + (f" in {column.currency}" if column.currency else "")
        for column in columns_of(found)
    ]
    key = ", ".join(found.primary_key)
    return "\n".join((f"{found.title}: key {key}; order {', '.join(found.order)}", *lines, ""))


@pytest.mark.parametrize("found", REPORTS, ids=[each.key for each in REPORTS])
def test_schema_of_a_report_matches_its_file(found: Report) -> None:
    path = FOLDER / f"{found.key}.txt"
    if os.environ.get("COUNTERFOIL_SNAPSHOTS") == "write":
        path.write_text(described(found))
    assert described(found) == path.read_text()


@pytest.mark.parametrize("found", REPORTS, ids=[each.key for each in REPORTS])
def test_the_arrow_schema_has_the_same_types(found: Report) -> None:
    columns = columns_of(found)
    assert [sql_type(field) for field in arrow_schema(columns)] == [SQL_TYPES[column.type] for column in columns]


def test_every_schema_file_belongs_to_a_report() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {found.key for found in REPORTS}
