"""The page Ask: a SELECT, its result and errors, and saved queries."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from counterfoil.app.app import App
from tests.web.browser import Browser
from tests.web.conftest import Site
from tests.web.tabled import dataset, fill

PART = {"hx-request": "true", "sec-fetch-site": "same-origin"}


@pytest.fixture
def owner(app: App, site: Site) -> Browser:
    fill(app, dataset(app))
    return site.owner()


def ask(owner: Browser, sql: str) -> tuple[int, str]:
    answer = owner.post("/ask", {"sql": sql}, headers=PART)
    return answer.status, answer.text


def test_result_has_a_table_and_a_chart(owner: Browser) -> None:
    status, text = ask(owner, "SELECT currency, count(*) AS n FROM charges WHERE currency IS NOT NULL GROUP BY 1")
    assert status == 200
    assert "<b>2 rows</b>" in text
    assert re.search(r"<desc>(eur: 250; jpy: 500|jpy: 500; eur: 250)</desc>", text)
    assert "<html" not in text


def test_months_make_a_line_chart_and_unlabeled_rows_make_none(owner: Browser) -> None:
    _, text = ask(owner, "SELECT '2026-0' || i AS month, i * 10 AS n FROM range(1, 6) t(i)")
    assert "chart-line" in text
    assert '<svg class="chart"' not in ask(owner, "SELECT amount, id FROM charges LIMIT 5")[1]
    assert '<svg class="chart"' not in ask(owner, "SELECT 'x' AS x, i FROM range(5) t(i)")[1]
    assert '<svg class="chart"' not in ask(owner, "SELECT id, amount FROM charges LIMIT 100")[1]


def test_error_keeps_the_query_and_shows_its_position(owner: Browser) -> None:
    answer = owner.post("/ask", {"sql": "SELECT id,\n  amount\nFORM charges"})
    assert answer.status == 422
    assert "SELECT id,\n  amount\nFORM charges</textarea>" in answer.text
    assert 'data-error-line="3"' in answer.text
    status, text = ask(owner, "SELECT id,\n  amonut\nFROM charges")
    assert status == 422
    assert 'data-error-line="2" data-error-column="3"' in text
    assert "amount" in text


def test_position_in_a_long_line_is_found(owner: Browser) -> None:
    sql = "SELECT " + ", ".join(f"{n} AS n{n}" for n in range(60)) + " FORM charges"
    _, text = ask(owner, sql)
    found = re.search(r'data-error-line="1" data-error-column="(\d+)"', text)
    assert found is not None
    assert sql[int(found[1]) - 1 :].startswith(("FORM", "charges"))


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE charges",
        "SELECT 1; SELECT 2",
        "COPY charges TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SET threads = 1",
        "",
    ],
)
def test_statements_other_than_one_select_are_rejected(app: App, owner: Browser, sql: str) -> None:
    status, text = ask(owner, sql)
    assert status == 422
    assert "root:" not in text
    assert app.tables.count("Charges") == 1000


def test_large_result_is_limited(owner: Browser) -> None:
    _, text = ask(owner, "SELECT a.id FROM charges a, charges b")
    assert "first 10,000" in text
    assert text.count("<tr>") == 501


def test_result_is_exported_exactly(owner: Browser) -> None:
    sql = "SELECT id, amount_major, created, description FROM charges WHERE amount IN (998, 999) ORDER BY id"
    answer = owner.post("/ask/answer.csv", {"sql": sql, "name": "The last two"})
    assert answer["content-disposition"] == 'attachment; filename="the-last-two.csv"'
    assert answer.text.splitlines() == [
        "id,amount_major,created,description",
        "ch_0000998,9.980,2023-11-14T22:14:59+00:00,",
        "ch_0000999,9.990,2023-11-14T22:14:59+00:00,<script>alert(1)</script>",
    ]
    wrong = owner.post("/ask/answer.csv", {"sql": "SELECT nothing FROM charges"})
    assert wrong.status == 422
    assert "SELECT nothing FROM charges</textarea>" in wrong.text


def test_formulas_are_exported_with_an_apostrophe(owner: Browser) -> None:
    answer = owner.post("/ask/answer.csv", {"sql": """SELECT '=1+1' AS "=a", -5 AS b, -5.5 AS c, '-' AS d"""})
    assert answer.text.splitlines() == ["'=a,b,c,d", "'=1+1,-5,-5.5,'-"]


def test_values_are_escaped(owner: Browser) -> None:
    _, text = ask(owner, "SELECT '<img src=x onerror=alert(1)>' AS \"<b>\", 1 AS n UNION ALL SELECT 'b', 2")
    assert "<img" not in text
    assert "<b>&lt;" not in text


def test_queries_are_saved_replaced_and_removed(app: App, owner: Browser) -> None:
    answer = owner.post("/ask/questions", {"name": " By  month ", "sql": "SELECT 1"})
    assert answer.status == 303
    text = owner.follow(answer).text
    assert "Saved as By month" in text
    assert "SELECT 1</textarea>" in text
    owner.post("/ask/questions", {"name": "BY MONTH", "sql": "SELECT 2"})
    assert [(one.name, one.sql) for one in app.questions.list()] == [("BY MONTH", "SELECT 2")]
    owner.post("/ask/questions/remove", {"name": "by month"})
    assert app.questions.list() == ()
    assert owner.get("/ask?question=by+month").status == 404


@pytest.mark.parametrize(("name", "sql"), [("", "SELECT 1"), ("x", "  "), ("x" * 101, "SELECT 1")])
def test_invalid_query_is_not_saved_and_keeps_the_text(owner: Browser, name: str, sql: str) -> None:
    answer = owner.post("/ask/questions", {"name": name, "sql": sql})
    assert answer.status == 422
    assert f"{sql}</textarea>" in answer.text


def test_tables_and_columns_are_listed_for_completion(owner: Browser) -> None:
    text = owner.get("/ask/tables", headers=PART).text
    assert 'data-table="charges"' in text
    assert re.findall(r'data-column="(\w+)"', text)[:3] == ["id", "created", "amount"]


def test_table_parameter_fills_in_a_query(owner: Browser) -> None:
    assert "FROM charges\nLIMIT 100</textarea>" in owner.get("/ask?table=charges").text
    assert "FROM &#34;a&#34;&#34;; DROP" in owner.get('/ask?table=a"%3B+DROP').text


def test_form_cannot_open_another_file(owner: Browser) -> None:
    answer = owner.post("/ask", {"sql": "SELECT count(*) FROM charges", "place": "duckdb:////etc/x"}, headers=PART)
    assert "1,000" in answer.text


def test_page_without_tables_shows_the_next_step(site: Site) -> None:
    assert "No tables yet" in site.owner().get("/ask").text


@pytest.fixture
def appended(app: App, owner: Browser) -> str:
    """A table of an append dataset with the rows of two runs."""
    made = dataset(app, "Books", method="append")
    fill(app, made)
    with duckdb.connect(str(Path(app.settings.home, "a.duckdb"))) as file:
        file.execute("INSERT INTO books SELECT * REPLACE ('r2' AS _run) FROM books LIMIT 10")
    return "books"


def test_query_that_adds_up_snapshots_has_a_warning(app: App, owner: Browser, appended: str) -> None:
    (warning,) = app.tables.ask(f"SELECT sum(amount) FROM {appended}").warnings
    assert (warning.code, warning.table, warning.runs, warning.latest) == ("snapshots_added", appended, 2, None)
    status, text = ask(owner, f"SELECT sum(amount) FROM {appended}")
    assert status == 200
    assert 'data-warning="snapshots_added"' in text
    assert "<b>1 row</b>" in text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT _run, sum(amount) FROM books GROUP BY _run",
        "SELECT sum(amount) FROM books WHERE _run = 'r2'",
        "SELECT * FROM books",
        "SELECT sum(amount) FROM charges",
    ],
)
def test_query_of_single_snapshots_has_no_warning(app: App, owner: Browser, appended: str, sql: str) -> None:
    assert appended == "books"
    assert app.tables.ask(sql).warnings == ()
    assert "data-warning" not in ask(owner, sql)[1]


def test_warning_names_the_view_of_the_latest_snapshot(app: App, owner: Browser, appended: str) -> None:
    with duckdb.connect(str(Path(app.settings.home, "a.duckdb"))) as file:
        file.execute("CREATE VIEW books__latest AS SELECT * FROM books WHERE _run = 'r2'")
    (warning,) = app.tables.ask(f"SELECT count(*) FROM {appended}").warnings
    assert warning.latest == "books__latest"
    assert "books__latest" in owner.get("/ask/tables", headers=PART).text
    with duckdb.connect(str(Path(app.settings.home, "a.duckdb"))) as file:
        file.execute("DELETE FROM books WHERE _run = 'r2'")
    assert app.tables.ask(f"SELECT count(*) FROM {appended}").warnings == ()
