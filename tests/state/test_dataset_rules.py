"""What can't be a dataset is refused before anything is stored, with the value and what to do."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from counterfoil.errors import SettingsError
from counterfoil.reports.catalogue import REPORTS
from counterfoil.schedules import Every
from counterfoil.state.datasets import Choice, Dataset, Datasets, Partition, Retry, Target
from tests.state.conftest import MakeDataset

STRIPE_KEY = "sk_live_" + "51Counterfoil4242"
MONTHS = Partition(unit="month", last=3)
NEVER = Every(1, "hours", between=(time(0, 1), time(0, 2)))


def _to(url: str = "duckdb:///x.duckdb", table: str = "t") -> dict[str, Any]:
    return {"targets": (Target(url=url, table=table),)}


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        ({"report": "chargs"}, "no report 'chargs'", "charges"),
        ({"report": "account", "method": "merge"}, "Account Description can't be 'merge'", "replace, append"),
        ({"report": "balance", "method": "upsert"}, "can't be 'upsert'", "replace, append"),
        ({"report": "account", "method": "partition"}, "no time of creation to be partitioned by", "replace, append"),
        ({"report": "discounts", "method": "partition"}, "no time of creation", "replace, append, merge"),
        ({"method": "partition"}, "needs a period", "3 months"),
        ({"method": "merge", "partition": MONTHS}, "does not go with the method merge", "Choose partition"),
        ({"method": "partition", "partition": Partition(unit="month", last=0)}, "can't be 0 months", "1 to 36"),
        ({"method": "partition", "partition": Partition(unit="year", last=1)}, "'year' is no period", "day"),  # type: ignore[arg-type]
        ({"choice": Choice(options={"status": "paid"})}, "Charges has no option 'status'", "customer"),
        ({"report": "invoices", "choice": Choice(options={"status": "late"})}, "'late' is no choice", "paid"),
        ({"choice": Choice(since=5, until=5)}, "until 5 is not after since 5", "until is left out"),
        ({"choice": Choice(last_days=0)}, "last days can't be 0 days", "1 to"),
        ({"choice": Choice(last_days=7, since=5)}, "do not go with since", "one of the two"),
        ({"choice": Choice(last_days=7, until=5)}, "do not go with since or until", "one of the two"),
        ({"report": "balance", "choice": Choice(last_days=7)}, "no time of creation", "Leave out last days"),
        ({"report": "account", "choice": Choice(since=1, until=2)}, "no time of creation", "since and until"),
        (
            {"method": "partition", "partition": MONTHS, "choice": Choice(since=1)},
            "method partition does not go with since",
            "Leave them out",
        ),
        ({"choice": Choice(left_out=("amont",))}, "no column 'amont'", "amount"),
        ({"choice": Choice(hashed=("nothing",))}, "no column 'nothing'", "counterfoil reports"),
        ({"choice": Choice(left_out=("id",))}, "id can be neither left out nor hashed", "told apart"),
        ({"choice": Choice(hashed=("id",))}, "id can be neither left out nor hashed", "told apart"),
        ({"choice": Choice(hashed=("created",))}, "created can be neither", "dated"),
        ({"choice": Choice(left_out=("_run",))}, "_run is a column that every table has", "neither"),
        ({"report": "balance", "choice": Choice(promoted=("order",))}, "Balance have no metadata", "Promote no keys"),
        ({"targets": ()}, "goes nowhere", "duckdb:///"),
        (_to(table=" "), "duckdb: ' '", "letters, digits and _"),
        (_to(table="bad table; drop"), "'bad table; drop' contains ' '", "letters, digits and _"),
        (_to(table="t" * 64), "has 64 bytes", "63 bytes"),
        (_to(table="_counterfoil_loads"), "reserved prefix '_counterfoil'", "letter"),
        (_to(url="dlt+snowflake://u@a/d", table="Charges"), "dlt+snowflake: 'Charges' contains 'C'", "lower-case"),
        (_to(url="stripe.duckdb"), "'stripe.duckdb' is not a destination", "duckdb:///"),
        ({"targets": (*_to()["targets"], *_to(table="T")["targets"])}, "is named twice", "another table"),
        ({"retry": Retry(attempts=0)}, "number of attempts can't be 0", "1 to 100"),
        ({"retry": Retry(every_minutes=0)}, "time between attempts can't be 0", "1 to"),
        ({"deadline_minutes": 0}, "deadline can't be 0", "1 to"),
        ({"schedule": Every(5, "minutes")}, "fires 5 minutes after", "15 minutes"),
        ({"schedule": Every(1, "days", zone="Europe/Berln")}, "Europe/Berln", "Europe/Berlin"),
        ({"schedule": NEVER}, "never fires", "widen them"),
        ({"description": "x" * 2_001}, "too long", "2,000"),
        ({"description": f"read with {STRIPE_KEY}"}, "description holds a key", "Leave the key out"),
        ({"name": "ds_0123456789ab"}, "is an id, not a name", "own words"),
        ({"account": "Shpo"}, "no account 'Shpo'", "'Shop'"),
        ({"after": "Nothing"}, "no dataset 'Nothing'", "counterfoil datasets list"),
    ],
)
def test_what_can_not_be_a_dataset_is_refused_and_not_stored(
    make_dataset: MakeDataset, datasets: Datasets, given: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        make_dataset(**given)
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")
    assert STRIPE_KEY not in f"{caught.value.message}{caught.value.hint}"
    assert datasets.list() == ()


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.key)
def test_every_report_can_be_a_dataset_by_each_of_its_methods(make_dataset: MakeDataset, report: Any) -> None:
    for method in report.methods:
        partition = MONTHS if method == "partition" else None
        made = make_dataset(f"by {method}", report=report.key, method=method, partition=partition)
        assert (made.report, made.method) == (report.key, method)
    assert make_dataset("by default", report=report.title).method == report.default_method


def test_an_interval_that_a_setting_allows_is_taken(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch, datasets: Datasets
) -> None:
    shorter = datasets._state.settings.model_copy(update={"least_minutes": 1})
    monkeypatch.setattr(datasets._state, "settings", shorter)
    assert make_dataset(schedule=Every(5, "minutes")).schedule == Every(5, "minutes")


def test_an_edit_is_checked_as_a_whole_and_all_or_nothing(datasets: Datasets, dataset: Dataset) -> None:
    with pytest.raises(SettingsError, match="needs a period"):
        datasets.edit(dataset.id, description="new", method="partition")
    with pytest.raises(SettingsError, match="report of a dataset can't be changed"):
        datasets.edit(dataset.id, report="refunds")
    assert datasets.get(dataset.id) == dataset
