"""Validation of datasets: an error contains the invalid value and the next step, and nothing is stored."""

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
    ("fields", "value", "hint"),
    [
        ({"report": "chargs"}, "'chargs'", "charges"),
        ({"report": "account", "method": "merge"}, "'merge'", "replace, append."),
        ({"report": "balance", "method": "upsert"}, "'upsert'", "replace, append."),
        ({"report": "account", "method": "partition"}, "partition by", "replace, append."),
        ({"report": "discounts", "method": "partition"}, "partition by", "replace, append, merge."),
        ({"method": "partition"}, "partition", "3 months"),
        ({"method": "merge", "partition": MONTHS}, "merge", "omit the period"),
        ({"method": "partition", "partition": Partition(unit="month", last=0)}, "period: 0", "1 to 36 months"),
        ({"method": "partition", "partition": Partition(unit="year", last=1)}, "'year'", "day, week, month"),  # type: ignore[arg-type]
        ({"choice": Choice(options={"status": "paid"})}, "no option 'status'", "customer"),
        ({"report": "invoices", "choice": Choice(options={"status": "late"})}, "'late'", "paid"),
        ({"choice": Choice(since=5, until=5)}, "until 5", "later until"),
        ({"choice": Choice(last_days=0)}, "number of days: 0", "1 to 36,500 days"),
        ({"choice": Choice(last_days=7, since=5)}, "last 7 days", "one of the two"),
        ({"choice": Choice(last_days=7, until=5)}, "last 7 days", "one of the two"),
        ({"report": "balance", "choice": Choice(last_days=7)}, "Balance", "Omit last days."),
        ({"report": "account", "choice": Choice(since=1, until=2)}, "Account Description", "Omit since and until."),
        ({"method": "partition", "partition": MONTHS, "choice": Choice(since=1)}, "since", "period of the partition"),
        ({"choice": Choice(left_out=("amont",))}, "'amont'", "amount"),
        ({"choice": Choice(hashed=("nothing",))}, "'nothing'", "counterfoil reports"),
        ({"choice": Choice(left_out=("id",))}, "id can't be", "key"),
        ({"choice": Choice(hashed=("id",))}, "id can't be", "key"),
        ({"choice": Choice(hashed=("created",))}, "created can't be", "creation time"),
        ({"choice": Choice(left_out=("_run",))}, "_run is a system column", "other columns"),
        ({"report": "balance", "choice": Choice(promoted=("order",))}, "no metadata", "promoted keys"),
        ({"targets": ()}, "no destination", "duckdb:///"),
        (_to(table=" "), "duckdb: ' '", "letters, digits and _"),
        (_to(table="bad table; drop"), "'bad table; drop' contains ' '", "letters, digits and _"),
        (_to(table="t" * 64), "64 bytes", "63 bytes"),
        (_to(table="_counterfoil_loads"), "'_counterfoil'", "letter"),
        (_to(url="dlt+snowflake://u@a/d", table="Charges"), "dlt+snowflake: 'Charges' contains 'C'", "lower-case"),
        (_to(url="stripe.duckdb"), "'stripe.duckdb'", "duckdb:///"),
        ({"targets": (*_to()["targets"], *_to(table="T")["targets"])}, "listed twice", "another table"),
        ({"retry": Retry(attempts=0)}, "number of attempts: 0", "1 to 100 attempts"),
        ({"retry": Retry(every_minutes=0)}, "time between attempts: 0", "1 to 1,440 minutes"),
        ({"deadline_minutes": 0}, "deadline: 0", "1 to 44,640 minutes"),
        ({"schedule": Every(5, "minutes")}, "5 minutes", "15 minutes"),
        ({"schedule": Every(1, "days", zone="Europe/Berln")}, "'Europe/Berln'", "Europe/Berlin"),
        ({"schedule": NEVER}, "never fires", "active hours"),
        ({"description": "x" * 2_001}, "description", "2,000"),
        ({"description": f"read with {STRIPE_KEY}"}, "description", "Remove the key"),
        ({"name": "ds_0123456789ab"}, "ds_0123456789ab is an id", "not an id"),
        ({"account": "Shpo"}, "account 'Shpo'", "'Shop'"),
        ({"after": "Nothing"}, "dataset 'Nothing'", "counterfoil datasets list"),
    ],
)
def test_invalid_dataset_is_rejected_and_not_stored(
    make_dataset: MakeDataset, datasets: Datasets, fields: dict[str, Any], value: str, hint: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        make_dataset(**fields)
    assert value in caught.value.message
    assert hint in (caught.value.hint or "")
    assert STRIPE_KEY not in f"{caught.value.message}{caught.value.hint}"
    assert datasets.list() == ()


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.key)
def test_every_report_supports_each_of_its_methods(make_dataset: MakeDataset, report: Any) -> None:
    for method in report.methods:
        partition = MONTHS if method == "partition" else None
        made = make_dataset(f"by {method}", report=report.key, method=method, partition=partition)
        assert (made.report, made.method) == (report.key, method)
    assert make_dataset("by default", report=report.title).method == report.default_method


def test_setting_allows_shorter_interval(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch, datasets: Datasets
) -> None:
    shorter = datasets._state.settings.model_copy(update={"least_minutes": 1})
    monkeypatch.setattr(datasets._state, "settings", shorter)
    assert make_dataset(schedule=Every(5, "minutes")).schedule == Every(5, "minutes")


def test_invalid_edit_leaves_dataset_unchanged(datasets: Datasets, dataset: Dataset) -> None:
    with pytest.raises(SettingsError) as caught:
        datasets.edit(dataset.id, description="new", method="partition")
    assert "3 months" in (caught.value.hint or "")
    with pytest.raises(SettingsError, match="the report") as caught:
        datasets.edit(dataset.id, report="refunds")
    assert "another dataset" in (caught.value.hint or "")
    assert datasets.get(dataset.id) == dataset
