"""Datasets are checked before they are stored, changed as a whole or not at all, and leave nothing behind."""

from __future__ import annotations

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
from counterfoil.errors import PermissionMissing, RunError, SettingsError
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
    """Loads a report without a dataset, into the file that datasets use."""

    def load(report: str, *, key: str = FULL, **words: Any) -> None:
        with connect(key, api_base=sandbox.url, relative_to=app.settings.home) as connection:
            connection.pull(report, to=TO, **words)

    return load


def _ran(app: App, dataset: str, *, requests: dict[str, int], whole: bool = True, **plan: Any) -> None:
    runs = app.records.runs
    run = runs.create(dataset, "manual")
    runs.finish(run.id, "succeeded", plan={"whole": whole, **plan}, requests=requests)


def test_a_dataset_has_the_reports_table_and_method_below_the_home(app: App, shop: Account) -> None:
    planned = app.datasets.create("Events", account="Shop", report="events")
    dataset = planned.dataset
    assert dataset.targets == (Target(url="duckdb:///counterfoil.duckdb", table="events"),)
    assert (dataset.method, dataset.account) == ("merge", shop.id)
    assert planned.places == (f"events of duckdb:///{app.settings.home}/counterfoil.duckdb",)
    assert app.datasets.get("Events") == dataset
    assert not (app.settings.home / "counterfoil.duckdb").exists()


def test_a_dry_run_checks_the_same_and_stores_nothing(app: App) -> None:
    schedule = parse("daily at 06:00", "Europe/Berlin")
    planned = app.datasets.create("Charges", account="Shop", report="charges", schedule=schedule, dry_run=True)
    assert planned.dry_run
    assert planned.outlook.next_times[0] == datetime(2027, 1, 5, 5, tzinfo=UTC)
    assert len(planned.outlook.next_times) == 5
    assert app.datasets.list() == ()
    with pytest.raises(SettingsError, match="There is no report"):
        app.datasets.create("Charges", account="Shop", report="chargs", dry_run=True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"account": "Nobody"}, "There is no account 'Nobody'"),
        ({"report": "chargs"}, "There is no report 'chargs'"),
        ({"choice": Choice(options={"color": "red"})}, "no option 'color'"),
        ({"choice": Choice(left_out=("id",))}, "neither left out nor hashed"),
        ({"choice": Choice(promoted=("[x]",))}, "can't be a key of metadata"),
        ({"report": "balance", "method": "merge"}, "can't be 'merge'"),
        ({"report": "plans", "choice": Choice(last_days=0)}, "can't be 0 days"),
        ({"method": "partition"}, "needs a period"),
        ({"method": "merge", "to": "parquet:///lake"}, "can't merge"),
        ({"after": "Nobody"}, "There is no dataset 'Nobody'"),
        ({"to": "mysql:///x"}, "no destination called mysql"),
        ({"to": "duckdb:///gone/x.duckdb"}, "there is no folder"),
        ({"to": "parquet:///gone/x"}, "there is no folder"),
        ({"to": "duckdb:///secret.key"}, "not a DuckDB database"),
        ({"to": "charges.duckdb"}, "is not a destination"),
        ({"table": "_counterfoil_loads"}, "reserved prefix"),
        ({"deadline_minutes": 0}, "The deadline"),
        ({"description": f"with {FULL}"}, "holds a key of Stripe's"),
    ],
)
def test_what_is_wrong_with_a_dataset_is_a_wrong_setting_and_nothing_is_stored(
    given: dict[str, Any], says: str, app: App
) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        app.datasets.create("X", **({"account": "Shop", "report": "charges"} | given))
    assert refused.value.hint
    assert app.datasets.list() == ()


def test_a_table_of_another_dataset_is_refused_however_it_is_spelled(app: App) -> None:
    app.datasets.create("One", account="Shop", report="charges", to=TO)
    other = f"duckdb:////{app.settings.home}/../home/stripe.duckdb"
    with pytest.raises(SettingsError, match="belongs to the dataset 'One'"):
        app.datasets.create("Two", account="Shop", report="charges", to=other, table="CHARGES")


def test_a_table_that_is_not_ours_is_refused(app: App) -> None:
    with duckdb.connect(str(app.settings.home / "stripe.duckdb")) as connection:
        connection.execute("CREATE TABLE charges AS SELECT 1 AS mine")
    with pytest.raises(SettingsError, match="not made by Counterfoil"):
        app.datasets.create("X", account="Shop", report="charges", to=TO, overwrite=True)


def test_a_table_of_another_report_or_mode_is_refused(app: App, pull: Pull) -> None:
    pull("coupons", table="charges")
    pull("refunds", key=LIVE)
    with pytest.raises(SettingsError, match="holds the report coupons, not charges"):
        app.datasets.create("X", account="Shop", report="charges", to=TO)
    with pytest.raises(SettingsError, match="holds live data"):
        app.datasets.create("X", account="Shop", report="refunds", to=TO)


@pytest.mark.parametrize("method", ["replace", "merge"])
def test_a_table_of_another_account_is_refused(method: Any, app: App) -> None:
    with Sandbox(seed=7, scale=0.05) as other, connect(FULL, api_base=other.url) as connection:
        connection.pull("coupons", to=f"duckdb:////{app.settings.home}/stripe.duckdb")
    with pytest.raises(SettingsError, match="holds rows of the account acct_"):
        app.datasets.create("X", account="Shop", report="coupons", to=TO, method=method)


def test_a_fuller_table_of_ours_is_replaced_only_when_that_is_said(app: App, pull: Pull) -> None:
    pull("coupons")
    choice = Choice(last_days=1)
    with pytest.raises(SettingsError, match="rows of a wider choice, more than this dataset would"):
        app.datasets.create("X", account="Shop", report="coupons", to=TO, choice=choice)
    planned = app.datasets.create("X", account="Shop", report="coupons", to=TO, choice=choice, overwrite=True)
    assert "the next run replaces them" in planned.warnings[0]


def test_a_table_of_ours_with_the_same_rows_is_taken_over(app: App, pull: Pull) -> None:
    pull("coupons")
    assert app.datasets.create("X", account="Shop", report="coupons", to=TO).warnings == ()


def test_what_the_key_can_not_read_is_warned_about(app: App, sandbox: Sandbox) -> None:
    app.accounts.add("Part", RESTRICTED, api_base=sandbox.url)
    (warning,) = app.datasets.create("X", account="Part", report="coupons").warnings
    assert "rak_coupon_read" in warning


def test_an_edit_changes_what_is_given_and_nothing_else(app: App) -> None:
    choice = Choice(since=1_767_225_600, hashed=("customer",))
    before = app.datasets.create("Charges", account="Shop", report="charges", choice=choice).dataset
    after = app.datasets.edit("Charges", description="All of them", schedule=parse("every 2 hours")).dataset
    assert (after.description, after.choice, after.targets) == ("All of them", choice, before.targets)
    assert after.next_due_at == datetime(2027, 1, 4, 14, tzinfo=UTC)


def test_an_edit_that_is_refused_or_only_tried_changes_nothing(app: App) -> None:
    before = app.datasets.create("Charges", account="Shop", report="charges").dataset
    with pytest.raises(SettingsError, match="can't merge"):
        app.datasets.edit("Charges", name="Lake", to="parquet:///lake", method="merge")
    with pytest.raises(SettingsError, match="run after itself"):
        app.datasets.edit("Charges", after="Charges")
    assert app.datasets.edit("Charges", name="Other", dry_run=True).dataset.name == "Other"
    assert app.datasets.get("Charges") == before


def test_only_an_edit_of_what_is_in_the_table_looks_at_it(app: App) -> None:
    app.datasets.create("Charges", account="Shop", report="charges", to=TO)
    (app.settings.home / "stripe.duckdb").write_text("not a database any more")
    assert app.datasets.edit("Charges", description="x").dataset.description == "x"
    with pytest.raises(SettingsError, match="not a DuckDB database"):
        app.datasets.edit("Charges", method="append")


@pytest.mark.parametrize(
    ("changes", "forgotten"),
    [
        ({"table": "all_charges"}, True),
        ({"to": "duckdb:///other.duckdb"}, True),
        ({"method": "append"}, True),
        ({"method": "partition", "partition": Partition(unit="month", last=3)}, True),
        ({"schedule": parse("every 2 hours")}, False),
        ({"table": "charges"}, False),
    ],
)
def test_another_table_or_method_is_read_whole_again(changes: dict[str, Any], forgotten: bool, app: App) -> None:
    dataset = app.datasets.create("Charges", account="Shop", report="charges").dataset
    app.records.datasets.set_bookmark(dataset.id, {"as_of": 1})
    assert (app.datasets.edit("Charges", **changes).dataset.bookmark is None) == forgotten


def test_a_reload_forgets_how_far_the_dataset_is(app: App) -> None:
    dataset = app.datasets.create("Charges", account="Shop", report="charges").dataset
    app.records.datasets.set_bookmark(dataset.id, {"as_of": 1})
    assert app.datasets.reload("Charges").bookmark is None


def test_what_a_month_takes_is_told_by_the_last_full_run(app: App, clock: StandingClock) -> None:
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


def test_what_a_month_takes_is_little_where_runs_read_changes(app: App, clock: StandingClock) -> None:
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
    assert app.datasets.outlook("Charges").reads == 5 * 70 + 355 * 3, "the full run is long ago"


def test_more_than_half_of_the_allotted_reads_is_warned_about(app: App) -> None:
    dataset = app.datasets.create("Charges", account="Shop", report="charges").dataset
    _ran(app, dataset.id, requests={"GET /v1/charges": 7})
    planned = app.datasets.edit("Charges", schedule=parse("every hour"), dry_run=True)
    assert planned.outlook.reads == 5_040
    assert any("5,040 reads a month, 50% of the 10,000" in warning for warning in planned.warnings)
    assert app.datasets.edit("Charges", schedule=parse("every 2 hours"), dry_run=True).warnings == ()


def test_datasets_of_an_account_are_reckoned_together(app: App) -> None:
    for name, words in (("A", "every hour"), ("B", "every 6 hours"), ("C", "daily at 06:00"), ("D", "manual")):
        dataset = app.datasets.create(name, account="Shop", report="coupons", table=name, schedule=parse(words)).dataset
        if name != "C":
            _ran(app, dataset.id, requests={"GET /v1/coupons": 5})
    app.datasets.pause("B")
    shop = app.accounts.get("Shop").id
    told = app.datasets.together(shop)
    assert (told.datasets, told.unknown, told.reads) == (2, 1, 720 * 5 + 30)
    assert told.warning is None
    planned = app.datasets.edit("C", schedule=parse("every 30 minutes"), dry_run=True)
    (warning,) = planned.warnings
    assert warning.startswith("The 2 datasets of the account take 5,040 reads a month, 50% of the 10,000")
    assert app.datasets.together(shop, instead={"new": app.datasets.outlook("A")}).reads == 720 * 5 * 2 + 30


def test_a_dataset_that_follows_another_runs_as_often(app: App) -> None:
    app.datasets.create("First", account="Shop", report="charges", schedule=parse("daily at 06:00"))
    app.datasets.create("Second", account="Shop", report="refunds", after="First")
    app.datasets.create("Third", account="Shop", report="coupons", after="Second", schedule=parse("daily at 09:00"))
    assert [app.datasets.outlook(name).runs for name in ("First", "Second", "Third")] == [30, 30, 60]
    app.datasets.pause("First")
    assert [app.datasets.outlook(name).runs for name in ("First", "Second", "Third")] == [0, 0, 30]
    assert app.datasets.outlook("First").next_times == ()
    assert app.datasets.resume("First").next_due_at == datetime(2027, 1, 5, 6, tzinfo=UTC)


def test_a_list_names_accounts_datasets_before_and_the_last_run(app: App, shop: Account) -> None:
    first = app.datasets.create("First", account="Shop", report="charges").dataset
    app.datasets.create("Second", account="Shop", report="refunds", after="First")
    _ran(app, first.id, requests={})
    one, two = app.datasets.list()
    assert (one.account, one.after, two.after) == (shop, None, "First")
    assert one.last_run is not None
    assert (one.last_run.status, two.last_run) == ("succeeded", None)
    assert app.datasets.show("Second") == two
    told = summary_dict(two)
    assert (told["account"]["name"], told["after"]) == ("Shop", {"id": first.id, "name": "First"})


def test_a_removed_dataset_leaves_its_table_unless_it_is_to_be_dropped(app: App, pull: Pull) -> None:
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


def test_a_table_is_not_dropped_while_its_dataset_can_not_go(app: App, pull: Pull) -> None:
    pull("coupons")
    dataset = app.datasets.create("First", account="Shop", report="coupons", to=TO).dataset
    app.datasets.create("Second", account="Shop", report="refunds", after="First")
    with pytest.raises(SettingsError, match="runs after 'First'"):
        app.datasets.remove("First", drop_table=True)
    app.datasets.remove("Second")
    run = app.records.runs.create(dataset.id, "manual")
    with pytest.raises(RunError, match="has a run that is not over"):
        app.datasets.remove("First", drop_table=True)
    with duckdb.connect(str(app.settings.home / "stripe.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM coupons").fetchall() == [(True,)]
    app.records.runs.finish(run.id, "failed")
    kept = app.settings.archive / "runs" / run.id
    kept.mkdir(parents=True)
    app.datasets.remove("First")
    assert not kept.exists()


def _files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_a_preview_is_one_page_of_what_a_run_would_bring_and_stores_nothing(app: App, own_sandbox: Sandbox) -> None:
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


def test_a_preview_of_what_the_key_may_not_read_names_the_permission(app: App, sandbox: Sandbox) -> None:
    app.accounts.add("Part", RESTRICTED, api_base=sandbox.url)
    with pytest.raises(PermissionMissing) as missing:
        app.datasets.preview_report("Part", "coupons")
    assert missing.value.permission == "rak_coupon_read"


@pytest.mark.parametrize(
    ("report", "choice", "rows", "says"),
    [
        ("charges", Choice(options={"x": "y"}), 5, "no option"),
        ("charges", Choice(left_out=("nothing",)), 5, "no column"),
        ("balance", Choice(since=1), 5, "no time of creation"),
        ("charges", Choice(), 0, "can't have 0 rows"),
        ("charges", Choice(), 101, "can't have 101 rows"),
    ],
)
def test_a_wrong_choice_has_no_preview(report: str, choice: Choice, rows: int, says: str, app: App) -> None:
    with pytest.raises(SettingsError, match=says):
        app.datasets.preview_report("Shop", report, choice=choice, rows=rows)
