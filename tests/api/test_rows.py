"""Rows of tables in the API: paging, sorting, filters, profiles, exports and SQL queries."""

from __future__ import annotations

import io
import json
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from counterfoil.app.app import App
from tests.api.conftest import MakeProgram
from tests.api.program import Program
from tests.web.tabled import dataset, fill


@pytest.fixture
def rows(app: App) -> str:
    """The path of a table of 1,000 rows."""
    made = dataset(app)
    fill(app, made)
    return f"/datasets/{made.id}/rows"


def test_pages_contain_every_row_once(program: Program, rows: str) -> None:
    found, offset = [], 0
    while offset is not None:
        page = program.get(f"{rows}?limit=300&offset={offset}&column=id")
        found += [row["id"] for row in page["rows"]]
        offset = page["next"]
    assert sorted(found) == [f"ch_{n:07}" for n in range(1000)]
    assert page["total"] == 1000


def test_rows_are_sorted_filtered_and_exact(program: Program, rows: str) -> None:
    page = program.get(f"{rows}?filter=currency~is~eur&filter=amount~over~990&sort=-amount")
    assert [row["id"] for row in page["rows"]] == ["ch_0000998", "ch_0000994"]
    assert page["rows"][0]["amount_major"] == "9.980"
    assert page["rows"][0]["created"].startswith("2023-11-14T22:")
    assert {"name": "amount", "type": "BIGINT"}.items() <= page["columns"][2].items()
    assert (page["total"], page["next"]) == (2, None)
    empty = program.get(f"{rows}?filter=currency~empty&limit=1&offset=5000")
    assert (empty["total"], empty["rows"], empty["next"]) == (250, [], None)


def test_invalid_parameters_are_rejected(program: Program, rows: str) -> None:
    for query in (
        "filter=amount",
        "filter=amount~equals~5",
        "filter=unknown~is~5",
        "filter=amount~over~many",
        "sort=unknown",
        "column=unknown",
        "limit=0",
        "limit=1001",
        "offset=-1",
        "offset=99999999999999999999",
        "&".join(["filter=amount~over~1"] * 21),
    ):
        assert program.problem("GET", f"{rows}?{query}") == (422, "invalid"), query
    assert program.problem("GET", f"{rows}.csv?filter=amount~over~many") == (422, "invalid")


def test_rows_are_exported_as_files(program: Program, rows: str) -> None:
    query = "filter=amount~over~996&sort=amount"
    csv = program.ask("GET", f"{rows}.csv?{query}", status=200)
    assert csv["content-type"] == "text/csv; charset=utf-8"
    assert [line.split(",")[0] for line in csv.text.splitlines()] == [
        '"id"', '"ch_0000997"', '"ch_0000998"', '"ch_0000999"',
    ]  # fmt: skip
    lines = program.ask("GET", f"{rows}.jsonl?{query}", status=200).text.splitlines()
    assert [json.loads(line)["amount_major"] for line in lines] == ["9.970", "9.98", "9.990"]
    parquet = program.ask("GET", f"{rows}.parquet?{query}", status=200)
    assert pq.read_table(io.BytesIO(parquet.body)).column("amount").to_pylist() == [997, 998, 999]
    assert program.problem("GET", f"{rows}.xlsx") == (422, "invalid")


def test_column_is_profiled(program: Program, rows: str) -> None:
    found = program.get(f"{rows.removesuffix('/rows')}/columns/currency/profile?filter=amount~under~100")
    assert (found["rows"], found["nulls"], found["distinct"]) == (100, 25, 2)
    assert found["top"][0] == {"value": "jpy", "rows": 50}


def test_rows_of_dataset_without_table_are_rejected(program: Program, app: App) -> None:
    made = dataset(app)
    for path in ("rows", "rows.csv", "columns/id/profile"):
        assert program.problem("GET", f"/datasets/{made.id}/{path}") == (409, "run_error")


def test_query_works_with_read_only_token(program: Program, make_program: MakeProgram, rows: str) -> None:
    sql = "SELECT currency, sum(amount_major) AS total, list(DISTINCT 1) AS ones FROM charges GROUP BY 1 ORDER BY 1"
    found = program.send("POST", "/ask", {"sql": sql})
    assert found["rows"][0] == ["eur", "1250.000", [1]]
    assert [one["name"] for one in found["columns"]] == ["currency", "total", "ones"]
    reader = make_program("reader", read_only=True)
    assert reader.get(f"/ask?sql={quote(sql)}") == found
    csv = program.ask("POST", "/ask?format=csv", {"sql": sql}, 200)
    assert csv.text.splitlines()[:2] == ["currency,total,ones", "eur,1250.00,[1]"]


def test_query_can_use_only_destinations_of_datasets(program: Program, rows: str) -> None:
    (destination,) = program.get("/destinations")["items"]
    assert destination["tables"] == ["charges"]
    assert program.send("POST", "/ask", {"sql": "SELECT 1", "destination": destination["id"]})["rows"] == [[1]]
    for wrong in ("duckdb:////etc/passwd", "000000000000", ""):
        assert program.problem("POST", "/ask", {"sql": "SELECT 1", "destination": wrong}) == (422, "invalid")


def test_invalid_query_is_rejected(program: Program, rows: str) -> None:
    for sql in ("", "SELEC 1", "DROP TABLE charges", "SELECT 1; SELECT 2", "SELECT * FROM read_csv('/etc/passwd')"):
        assert program.problem("POST", "/ask", {"sql": sql}) == (422, "invalid"), sql
    assert program.get(rows)["total"] == 1000


def test_saved_query_is_stored_run_and_removed(program: Program, rows: str) -> None:
    destination = program.get("/destinations")["items"][0]["id"]
    path = f"/questions/{quote('How many? 1/2')}"
    body = {"sql": "SELECT count(*) FROM charges", "destination": destination}
    assert program.send("PUT", path, body) == {"name": "How many? 1/2", **body}
    assert program.get("/questions") == {"items": [program.get(path)]}
    assert program.get(f"/ask?question={quote('How many? 1/2')}")["rows"] == [[1000]]
    program.send("DELETE", path)
    assert program.problem("GET", path) == (404, "not_found")
    assert program.problem("DELETE", path) == (404, "not_found")
    assert program.problem("GET", "/ask?question=x") == (404, "not_found")
    assert program.problem("GET", "/ask") == (422, "invalid")
    assert program.problem("PUT", "/questions/x", {"sql": " "}) == (422, "invalid")
