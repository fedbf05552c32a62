"""Tables: pages, profiles, exports and queries, all computed by the database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from counterfoil.app.app import App
from counterfoil.app.tables import ASK_ROWS, Filter, View
from counterfoil.errors import RunError, SettingsError
from counterfoil.state.accounts import Account
from tests.objects import Objects
from tests.postgres import Server

_ROWS = """CREATE TABLE charges AS SELECT 'ch_' || lpad(i::VARCHAR, 4, '0') AS id, i AS amount,
    CASE WHEN i % 4 = 0 THEN NULL WHEN i % 2 = 0 THEN 'eur' ELSE 'O''usd"' END AS currency,
    to_timestamp(1700000000 + floor(i / 10)) AS created FROM generate_series(0, 999) AS t(i)"""

_TYPES = pa.schema(
    [("id", pa.string()), ("amount", pa.int64()), ("currency", pa.string()), ("created", pa.timestamp("us", tz="UTC"))]
)


@dataclass(frozen=True)
class Source:
    """A destination, and a function that writes to it without Counterfoil."""

    url: str
    execute: Callable[[str], object]


@pytest.fixture(params=["duckdb", "postgres", "delta"])
def source(request: pytest.FixtureRequest, app: App) -> Iterator[Source]:
    if request.param == "duckdb":

        def execute(sql: str) -> None:
            with duckdb.connect(str(Path(app.settings.home, "a.duckdb"))) as file:
                file.execute(sql)

        yield Source("duckdb:///a.duckdb", execute)
        return
    if request.param == "delta":

        def write(sql: str) -> None:
            with duckdb.connect() as memory:
                table = memory.sql(sql[sql.index("SELECT") :]).to_arrow_table()
            table = table.rename_columns(_TYPES.names).cast(_TYPES)
            write_deltalake(Path(app.settings.home, "a", "charges"), table, mode="append")

        yield Source("delta:///a", write)
        return
    server: Server = request.getfixturevalue("postgres")
    schema = f"tables_{uuid.uuid4().hex}"
    with server.connected() as connection:
        connection.execute(f"CREATE SCHEMA {schema}; SET search_path TO {schema}; SET TimeZone TO UTC")
        yield Source(server.url(schema), connection.execute)


@pytest.fixture
def charges(app: App, shop: Account, source: Source) -> str:
    """A dataset with a table of 1,000 rows."""
    planned = app.datasets.create("Charges", account=shop.name, report="charges", to=source.url)
    source.execute(_ROWS)
    return planned.dataset.name


def test_pages_in_order_of_the_report_contain_every_row_once(app: App, charges: str) -> None:
    pages = [app.tables.page(charges, View(), limit=300, offset=offset) for offset in range(0, 1000, 300)]
    ids = [row[0] for page in pages for row in page.rows]
    assert ids == sorted((f"ch_{i:04}" for i in range(1000)), reverse=True)
    assert {page.total for page in pages} == {1000}


def test_pages_sorted_by_duplicate_values_contain_every_row_once(app: App, charges: str) -> None:
    view = View(sort=("currency",))
    rows = [
        row for offset in range(0, 1000, 70) for row in app.tables.page(charges, view, limit=70, offset=offset).rows
    ]
    assert len({row[0] for row in rows}) == 1000
    assert [row[2] for row in rows if row[2] is None] == [None] * 250
    assert [row[2] for row in rows][-250:] == [None] * 250


@pytest.mark.parametrize(
    ("test", "column", "value", "total"),
    [
        ("is", "amount", "17", 1),
        ("is_not", "amount", "17", 999),
        ("over", "amount", "989", 10),
        ("under", "amount", "10", 10),
        ("contains", "currency", "usd", 500),
        ("contains", "id", "CH_00", 100),
        ("is", "currency", "O'usd\"", 500),
        ("empty", "currency", "", 250),
        ("filled", "currency", "", 750),
        ("over", "created", "2023-11-14T22:13:20Z", 990),
        ("contains", "currency", "' OR 1=1 --", 0),
    ],
)
def test_filters_run_in_the_database(app: App, charges: str, test: str, column: str, value: str, total: int) -> None:
    view = View(filters=(Filter(column=column, test=test, value=value),))  # type: ignore[arg-type]
    page = app.tables.page(charges, view, limit=5)
    assert page.total == total
    assert len(page.rows) == min(total, 5)
    assert app.tables.export(charges, view).read_all().num_rows == total


def test_unknown_column_and_filter_are_rejected(app: App, charges: str) -> None:
    with pytest.raises(SettingsError, match="amuont"):
        app.tables.page(charges, View(sort=("-amuont",)))
    with pytest.raises(SettingsError, match="like"):
        app.tables.page(charges, View(filters=(Filter(column="id", test="like", value="x"),)))  # type: ignore[arg-type]
    with pytest.raises(RunError, match="abc"):
        app.tables.page(charges, View(filters=(Filter(column="amount", test="is", value="abc"),)))


def test_profile_summarizes_a_column(app: App, charges: str) -> None:
    profile = app.tables.profile(charges, "currency")
    assert (profile.rows, profile.nulls) == (1000, 250)
    assert profile.distinct in (2, 3)
    assert profile.top == (("O'usd\"", 500), ("eur", 250), (None, 250))
    amounts = app.tables.profile(charges, "amount", View(filters=(Filter(column="amount", test="over", value="900"),)))
    assert (amounts.rows, amounts.least, amounts.greatest) == (99, "901", "999")


def test_query_returns_at_most_ten_thousand_rows(app: App, charges: str) -> None:
    answer = app.tables.ask("SELECT currency, sum(amount) AS total FROM charges GROUP BY 1 ORDER BY 2 DESC NULLS LAST")
    assert [column.name for column in answer.columns] == ["currency", "total"]
    assert len(answer.rows) == 3
    assert not answer.cut
    many = app.tables.ask("SELECT a.id FROM charges a, charges b")
    assert (len(many.rows), many.cut) == (ASK_ROWS, True)


@pytest.mark.parametrize(
    "question", ["DROP TABLE charges", "SELECT * FROM read_csv('/etc/passwd')", "SELECT 1; SELECT 2"]
)
def test_query_cannot_change_tables_or_read_files(app: App, charges: str, question: str) -> None:
    with pytest.raises(RunError):
        app.tables.ask(question)
    assert app.tables.page(charges, View()).total == 1000


def test_tables_and_columns_are_listed_for_completion(app: App, charges: str, source: Source) -> None:
    assert app.tables.places() == {source.url: ("charges",)}
    assert app.tables.names(source.url) == {"charges": ("id", "amount", "currency", "created")}


def test_dataset_without_table_is_reported(app: App, shop: Account) -> None:
    app.datasets.create("New", account=shop.name, report="refunds")
    with pytest.raises(RunError, match="'New' has no table"):
        app.tables.page("New", View())


@pytest.mark.parametrize("sort", [(), ("currency",), ("-currency", "amount")])
def test_pages_from_either_end_have_the_same_order(app: App, charges: str, sort: tuple[str, ...]) -> None:
    whole = app.tables.page(charges, View(sort=sort), limit=1000).rows
    for offset in (0, 480, 500, 930, 1000, 5000):
        page = app.tables.page(charges, View(sort=sort), limit=70, offset=offset)
        assert (page.rows, page.total) == (whole[offset : offset + 70], 1000)


def test_page_has_only_the_selected_columns(app: App, charges: str) -> None:
    page = app.tables.page(charges, View(sort=("-amount",)), limit=1, only={"currency", "id"})
    assert [column.name for column in page.columns] == ["id", "currency"]
    assert page.rows == (("ch_0999", "O'usd\""),)


def test_small_export_is_sorted_and_large_export_is_not(app: App, charges: str, source: Source) -> None:
    source.execute("INSERT INTO charges SELECT 'm' || i, i, 'gbp', NULL FROM generate_series(0, 59999) AS t(i)")
    view = View(filters=(Filter(column="currency", test="is", value="gbp"),), sort=("-amount",))
    assert app.tables.export(charges, view).read_all()["amount"][0].as_py() == 0
    few = View(filters=(*view.filters, Filter(column="amount", test="under", value="50000")), sort=("-amount",))
    assert app.tables.export(charges, few).read_all()["amount"][0].as_py() == 49_999


def test_table_in_object_store_is_paged_and_queried(app: App, shop: Account, objects: Objects) -> None:
    place = f"{objects.bucket()}/books"
    url = f"s3://{place}?endpoint={objects.endpoint}"
    app.datasets.create("Charges", account=shop.name, report="charges", to=url)
    with duckdb.connect() as memory, objects.files.open(f"{place}/charges/mine.parquet", "wb") as file:
        memory.execute(_ROWS)
        pq.write_table(memory.sql("FROM charges").to_arrow_table(), file)
    page = app.tables.page("Charges", View(sort=("-amount",)), limit=2, offset=2)
    assert ([row[1] for row in page.rows], page.total) == ([997, 996], 1000)
    assert app.tables.ask("SELECT max(amount) AS most FROM charges", url=url).rows == ((999,),)
