"""Datasets: validated before they are stored, changed atomically, and removed completely."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil.app.app import App
from counterfoil.app.connection import connect
from counterfoil.app.datasets.dictionaries import summary_dict
from counterfoil.app.export.files import json_row
from counterfoil.errors import (
    FOLDER_MISSING,
    INVALID_TABLE,
    REPLACES_ROWS,
    PermissionMissing,
    RunError,
    SettingsError,
)
from counterfoil.schedules import parse
from counterfoil.state.accounts import Account
from counterfoil.state.dataset import Choice, Partition, Target
from stripe_sandbox import Sandbox
from tests.app.conftest import FULL, LIVE, RESTRICTED
from tests.state.conftest import StandingClock

pytestmark = pytest.mark.usefixtures("shop")

TO = "duckdb:///stripe.duckdb"

Pull = Callable[..., None]


@pytest.fixture
def pull(app: App, sandbox: Sandbox) -> Pull:
    """Loads a report without a dataset into the file of the datasets."""

    def load(report: str, *, key: str = FULL, **options: Any) -> None:
        with connect(key, api_base=sandbox.url, relative_to=app.settings.home) as connection:
            connection.pull(report, to=TO, **options)

    return load


def _ran(app: App, dataset: str, *, requests: dict[str, int], whole: bool = True, **plan: Any) -> None:
    runs = app.records.runs
    run = runs.create(dataset, "manual")
    runs.finish(run.id, "succeeded", plan={"whole": whole, **plan}, requests=requests)


def test_new_dataset_has_defaults_of_report_and_home(app: App, shop: Account) -> None:
    planned = app.datasets.create("Events", account="Shop", report="events")
    dataset = planned.dataset
    assert dataset.targets == (Target(url="duckdb:///counterfoil.duckdb", table="events"),)
    assert (dataset.method, dataset.account) == ("merge", shop.id)
    assert planned.places == (f"events of duckdb:///{app.settings.home}/counterfoil.duckdb",)
    assert app.datasets.get("Events") == dataset
    assert not (app.settings.home / "counterfoil.duckdb").exists()


def test_dry_run_validates_and_stores_nothing(app: App) -> None:
    schedule = parse("daily at 06:00", "Europe/Berlin")
    planned = app.datasets.create("Charges", account="Shop", report="charges", schedule=schedule, dry_run=True)
    assert planned.dry_run
    assert planned.outlook.next_times[0] == datetime(2027, 1, 5, 5, tzinfo=UTC)
    assert len(planned.outlook.next_times) == 5
    assert app.datasets.list() == ()
    with pytest.raises(SettingsError, match="'chargs'"):
        app.datasets.create("Charges", account="Shop", report="chargs", dry_run=True)


@pytest.mark.parametrize(
    ("fields", "expected", "code"),
    [
        ({"account": "Unknown"}, "account 'Unknown'", "account_not_found"),
        ({"report": "chargs"}, "report 'chargs'", "report_not_found"),
        ({"choice": Choice(options={"color": "red"})}, "no option 'color'", None),
        ({"choice": Choice(left_out=("id",))}, "^id ", "required_column"),
        ({"choice": Choice(promoted=("[x]",))}, r"'\[x\]'", "invalid_metadata_key"),
        ({"report": "balance", "method": "merge"}, "'merge'", None),
        ({"report": "plans", "choice": Choice(last_days=0)}, "number of days: 0", None),
        ({"method": "partition"}, "requires a period", None),
        ({"method": "merge", "to": "parquet:///lake"}, "/lake", "unsupported_method"),
        ({"after": "Unknown"}, "dataset 'Unknown'", "dataset_not_found"),
        ({"to": "mysql:///x"}, "destination: mysql", None),
        ({"to": "duckdb:///gone/x.duckdb"}, "/gone", FOLDER_MISSING),
        ({"to": "parquet:///gone/x"}, "/gone", FOLDER_MISSING),
        ({"to": "duckdb:///secret.key"}, "not a DuckDB database", None),
        ({"to": "charges.duckdb"}, "destination: 'charges.duckdb'", None),
        ({"table": "_counterfoil_loads"}, "'_counterfoil_loads'", INVALID_TABLE),
        ({"deadline_minutes": 0}, "deadline: 0", None),
        ({"description": f"with {FULL}"}, "the description contains", None),
    ],
)
def test_invalid_dataset_raises_settings_error_and_is_not_stored(
    fields: dict[str, Any], expected: str, code: str | None, app: App
) -> None:
    with pytest.raises(SettingsError, match=expected) as rejected:
        app.datasets.create("X", **({"account": "Shop", "report": "charges"} | fields))
    assert rejected.value.hint
    assert code in (None, rejected.value.code)
    assert app.datasets.list() == ()


def test_table_of_another_dataset_is_rejected_in_any_spelling(app: App) -> None:
    app.datasets.create("One", account="Shop", report="charges", to=TO)
    other = f"duckdb:////{app.settings.home}/../home/stripe.duckdb"
    with pytest.raises(SettingsError, match="dataset 'One'"):
        app.datasets.create("Two", account="Shop", report="charges", to=other, table="CHARGES")


def test_table_of_another_program_is_rejected(app: App) -> None:
    with duckdb.connect(str(app.settings.home / "stripe.duckdb")) as connection:
        connection.execute("CREATE TABLE charges AS SELECT 1 AS mine")
    with pytest.raises(SettingsError, match="not created by Counterfoil") as rejected:
        app.datasets.create("X", account="Shop", report="charges", to=TO, overwrite=True)
    assert rejected.value.code == INVALID_TABLE


def test_table_of_another_report_or_mode_is_rejected(app: App, pull: Pull) -> None:
    pull("coupons", table="charges")
    pull("refunds", key=LIVE)
    with pytest.raises(SettingsError, match="report coupons, not charges"):
        app.datasets.create("X", account="Shop", report="charges", to=TO)
    with pytest.raises(SettingsError, match="live data"):
        app.datasets.create("X", account="Shop", report="refunds", to=TO)


@pytest.mark.parametrize("method", ["replace", "merge"])
def test_table_of_another_account_is_rejected(method: Any, app: App) -> None:
    with Sandbox(seed=7, scale=0.05) as other, connect(FULL, api_base=other.url) as connection:
        connection.pull("coupons", to=f"duckdb:////{app.settings.home}/stripe.duckdb")
    with pytest.raises(SettingsError, match="of the account acct_"):
        app.datasets.create("X", account="Shop", report="coupons", to=TO, method=method)


def test_table_with_more_rows_is_replaced_only_with_overwrite(app: App, pull: Pull) -> None:
    pull("coupons")
    choice = Choice(last_days=1)
    with pytest.raises(SettingsError, match=r"table coupons contains \d+ rows") as rejected:
        app.datasets.create("X", account="Shop", report="coupons", to=TO, choice=choice)
    assert rejected.value.code == REPLACES_ROWS
    planned = app.datasets.create("X", account="Shop", report="coupons", to=TO, choice=choice, overwrite=True)
    assert planned.replaces == planned.warnings[0]


def test_existing_table_with_same_selection_is_reused(app: App, pull: Pull) -> None:
    pull("coupons")
    assert app.datasets.create("X", account="Shop", report="coupons", to=TO).warnings == ()


def test_missing_permission_is_a_warning(app: App, sandbox: Sandbox) -> None:
    app.accounts.add("Part", RESTRICTED, api_base=sandbox.url)
    (warning,) = app.datasets.create("X", account="Part", report="coupons").warnings
    assert "rak_coupon_read" in warning


def test_edit_changes_only_given_fields(app: App) -> None:
    choice = Choice(since=1_767_225_600, hashed=("customer",))
    before = app.datasets.create("Charges", account="Shop", report="charges", choice=choice).dataset
    after = app.datasets.edit("Charges", description="All of them", schedule=parse("every 2 hours")).dataset
    assert (after.description, after.choice, after.targets) == ("All of them", choice, before.targets)
    assert after.next_due_at == datetime(2027, 1, 4, 14, tzinfo=UTC)


def test_rejected_edit_and_dry_run_change_nothing(app: App) -> None:
    before = app.datasets.create("Charges", account="Shop", report="charges").dataset
    with pytest.raises(SettingsError, match="merge") as rejected:
        app.datasets.edit("Charges", name="Lake", to="parquet:///lake", method="merge")
    assert rejected.value.code == "unsupported_method"
    with pytest.raises(SettingsError, match="run after itself: 'Charges'"):
        app.datasets.edit("Charges", after="Charges")
    assert app.datasets.edit("Charges", name="Other", dry_run=True).dataset.name == "Other"
    assert app.datasets.get("Charges") == before


def test_only_edits_that_affect_the_table_check_it(app: App) -> None:
    app.datasets.create("Charges", account="Shop", report="charges", to=TO)
    (app.settings.home / "stripe.duckdb").write_text("not a database")
    assert app.datasets.edit("Charges", description="x").dataset.description == "x"
    with pytest.raises(SettingsError, match="not a DuckDB database"):
        app.datasets.edit("Charges", method="append")


@pytest.mark.parametrize(
    ("changes", "cleared"),
    [
        ({"table": "all_charges"}, True),
        ({"to": "duckdb:///other.duckdb"}, True),
        ({"method": "append"}, True),
        ({"method": "partition", "partition": Partition(unit="month", last=3)}, True),
        ({"schedule": parse("every 2 hours")}, False),
        ({"table": "charges"}, False),
    ],
)
def test_change_of_table_or_method_requires_full_refresh(changes: dict[str, Any], cleared: bool, app: App) -> None:
    dataset = app.datasets.create("Charges", account="Shop", report="charges").dataset
    app.records.datasets.set_bookmark(dataset.id, {"as_of": 1})
    assert (app.datasets.edit("Charges", **changes).dataset.bookmark is None) == cleared


def test_reload_clears_sync_state(app: App) -> None:
    dataset = app.datasets.create("Charges", account="Shop", report="charges").dataset
    app.records.datasets.set_bookmark(dataset.id, {"as_of": 1})
    assert app.datasets.reload("Charges").bookmark is None


def test_usage_forecast_uses_last_full_refresh(app: App, clock: StandingClock) -> None:
    schedule = parse("daily at 06:00, 18:00")
    dataset = app.datasets.create("Charges", account="Shop", report="charges", schedule=schedule).dataset
    assert app.datasets.outlook("Charges").reads is None
    _ran(app, dataset.id, requests={"GET /v1/charges": 39, "GET /v1/account": 1, "POST /v1/invoices/create_preview": 7})
    clock.advance(hours=1)
    _ran(app, dataset.id, requests={"GET /v1/charges": 2}, whole=False)
    outlook = app.datasets.outlook("Charges")
    assert (outlook.runs, outlook.reads_each, outlook.reads) == (60, 40, 2_400)
    assert outlook.share == pytest.approx(0.24)
    assert outlook.warning is None


def test_usage_forecast_counts_incremental_runs(app: App, clock: StandingClock) -> None:
    schedule = parse("every 2 hours")
    dataset = app.datasets.create("Charges", account="Shop", report="charges", schedule=schedule).dataset
    _ran(app, dataset.id, requests={"GET /v1/charges": 40})
    clock.advance(hours=1)
    _ran(app, dataset.id, requests={"GET /v1/charges": 2, "GET /v1/events": 2}, whole=False, changes={"since": 1})
    outlook = app.datasets.outlook("Charges")
    assert (outlook.runs, outlook.reads_each, outlook.changes_each, outlook.full_runs) == (360, 40, 4, 5)
    assert outlook.reads == 5 * 40 + 355 * 4
    app.records.datasets.set_bookmark(dataset.id, {"standing": {"whole_requests": 70}})
    for _ in range(20):
        clock.advance(hours=1)
        _ran(app, dataset.id, requests={"GET /v1/charges": 3}, whole=False, changes={"since": 1})
    assert app.datasets.outlook("Charges").reads == 5 * 70 + 355 * 3, (
        "the full refresh is no longer among the recent runs"
    )


def test_more_than_half_of_monthly_allowance_is_a_warning(app: App) -> None:
    dataset = app.datasets.create("Charges", account="Shop", report="charges").dataset
    _ran(app, dataset.id, requests={"GET /v1/charges": 7})
    planned = app.datasets.edit("Charges", schedule=parse("every hour"), dry_run=True)
    assert planned.outlook.reads == 5_040
    assert planned.outlook.warning in planned.warnings
    assert re.search(r"5,040 .* 50% .* 10,000", str(planned.outlook.warning))
    assert app.datasets.edit("Charges", schedule=parse("every 2 hours"), dry_run=True).warnings == ()


def test_usage_forecast_adds_datasets_of_account(app: App) -> None:
    for name, schedule in (("A", "every hour"), ("B", "every 6 hours"), ("C", "daily at 06:00"), ("D", "manual")):
        dataset = app.datasets.create(
            name, account="Shop", report="coupons", table=name, schedule=parse(schedule)
        ).dataset
        if name != "C":
            _ran(app, dataset.id, requests={"GET /v1/coupons": 5})
    app.datasets.pause("B")
    shop = app.accounts.get("Shop").id
    forecast = app.datasets.together(shop)
    assert (forecast.datasets, forecast.unknown, forecast.reads) == (2, 1, 720 * 5 + 30)
    assert forecast.warning is None
    planned = app.datasets.edit("C", schedule=parse("every 30 minutes"), dry_run=True)
    (warning,) = planned.warnings
    assert re.match(r"the 2 datasets .* 5,040 .* 50% .* 10,000", warning)
    assert app.datasets.together(shop, instead={"new": app.datasets.outlook("A")}).reads == 720 * 5 * 2 + 30


def test_dependent_dataset_runs_as_often_as_its_predecessor(app: App) -> None:
    app.datasets.create("First", account="Shop", report="charges", schedule=parse("daily at 06:00"))
    app.datasets.create("Second", account="Shop", report="refunds", after="First")
    app.datasets.create("Third", account="Shop", report="coupons", after="Second", schedule=parse("daily at 09:00"))
    assert [app.datasets.outlook(name).runs for name in ("First", "Second", "Third")] == [30, 30, 60]
    app.datasets.pause("First")
    assert [app.datasets.outlook(name).runs for name in ("First", "Second", "Third")] == [0, 0, 30]
    assert app.datasets.outlook("First").next_times == ()
    assert app.datasets.resume("First").next_due_at == datetime(2027, 1, 5, 6, tzinfo=UTC)


def test_list_has_accounts_predecessors_and_last_runs(app: App, shop: Account) -> None:
    first = app.datasets.create("First", account="Shop", report="charges").dataset
    app.datasets.create("Second", account="Shop", report="refunds", after="First")
    _ran(app, first.id, requests={})
    one, two = app.datasets.list()
    assert (one.account, one.after, two.after) == (shop, None, "First")
    assert one.last_run is not None
    assert (one.last_run.status, two.last_run) == ("succeeded", None)
    assert app.datasets.show("Second") == two
    summary = summary_dict(two)
    assert (summary["account"]["name"], summary["after"]) == ("Shop", {"id": first.id, "name": "First"})


def test_remove_keeps_table_unless_dropped(app: App, pull: Pull) -> None:
    for report in ("coupons", "refunds"):
        pull(report)
        app.datasets.create(report, account="Shop", report=report, to=TO)
    app.datasets.remove("coupons")
    app.datasets.remove("refunds", drop_table=True)
    assert app.datasets.list() == ()
    with duckdb.connect(str(app.settings.home / "stripe.duckdb"), read_only=True) as connection:
        tables = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
    assert "coupons" in tables
    assert "refunds" not in tables


def test_table_is_not_dropped_if_dataset_cannot_be_removed(app: App, pull: Pull) -> None:
    pull("coupons")
    dataset = app.datasets.create("First", account="Shop", report="coupons", to=TO).dataset
    app.datasets.create("Second", account="Shop", report="refunds", after="First")
    with pytest.raises(SettingsError, match="'Second' runs after 'First'"):
        app.datasets.remove("First", drop_table=True)
    app.datasets.remove("Second")
    run = app.records.runs.create(dataset.id, "manual")
    with pytest.raises(RunError, match=f"active run: {run.id}"):
        app.datasets.remove("First", drop_table=True)
    with duckdb.connect(str(app.settings.home / "stripe.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM coupons").fetchall() == [(True,)]
    app.records.runs.finish(run.id, "failed")
    archive = app.settings.archive / "runs" / run.id
    archive.mkdir(parents=True)
    app.datasets.remove("First")
    assert not archive.exists()


def _files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_preview_reads_one_page_and_stores_nothing(app: App, own_sandbox: Sandbox) -> None:
    app.accounts.add("Own", FULL, api_base=own_sandbox.url)
    choice = Choice(left_out=("email",), hashed=("name",), promoted=("plan",))
    app.datasets.create("Customers", account="Own", report="customers", choice=choice)
    before = _files(app.settings.home)
    own_sandbox.ask("requests?reset=true")
    preview = app.datasets.preview("Customers", rows=5)
    assert (len(preview.rows), preview.requests) == (5, 1)
    assert len(own_sandbox.ask("requests")["last"]) == 1
    names = [name for name, _ in preview.columns]
    assert "email" not in names
    assert "metadata_plan" in names
    assert all(len(row["name"]) == 32 for row in preview.rows if row["name"])
    assert _files(app.settings.home) == before
    assert json_row(preview.rows[0])["created"].endswith("+00:00")


def test_each_report_has_a_preview(app: App) -> None:
    from counterfoil.reports.catalogue import REPORTS

    for report in REPORTS:
        preview = app.datasets.preview_report("Shop", report.key, rows=2)
        assert len(preview.rows) <= 2
        assert preview.rows or report.key in ("application_fees", "recipients"), report.key


def test_preview_without_permission_names_it(app: App, sandbox: Sandbox) -> None:
    app.accounts.add("Part", RESTRICTED, api_base=sandbox.url)
    with pytest.raises(PermissionMissing) as missing:
        app.datasets.preview_report("Part", "coupons")
    assert missing.value.permission == "rak_coupon_read"


@pytest.mark.parametrize(
    ("report", "choice", "rows", "expected"),
    [
        ("charges", Choice(options={"x": "y"}), 5, "no option 'x'"),
        ("charges", Choice(left_out=("nothing",)), 5, "no column 'nothing'"),
        ("balance", Choice(since=1), 5, "no creation time"),
        ("charges", Choice(), 0, "preview: 0"),
        ("charges", Choice(), 101, "preview: 101"),
    ],
)
def test_invalid_selection_has_no_preview(report: str, choice: Choice, rows: int, expected: str, app: App) -> None:
    with pytest.raises(SettingsError, match=expected):
        app.datasets.preview_report("Shop", report, choice=choice, rows=rows)
