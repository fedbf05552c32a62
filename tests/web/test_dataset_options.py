"""Every option of the table of options is in the command line, the form, the API and the configuration file."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from counterfoil.app.app import App
from counterfoil.app.config.file import dataset_table, read_config, write_config
from counterfoil.app.datasets.input import labeled_options, read_changes
from counterfoil.cli import run
from counterfoil.dataset_options import OPTIONS, Option
from counterfoil.state.accounts import Account
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.tables import datasets
from counterfoil.web.api.document import document
from counterfoil.web.api.routes import api
from counterfoil.web.forms.dataset import FIELDS, changes_of, typed_of
from stripe_sandbox import Sandbox
from tests.web.conftest import FULL, Site
from tests.web.forms import form_of

#: A value other than the default for every option, as in a configuration file.
GIVEN: dict[str, Any] = {
    "description": "For the books",
    "options": {"customer": "cus_1"},
    "since": "2026-01-01",
    "until": "2027-01-01T12:00:00Z",
    "last_days": 90,
    "promote": ["order_id"],
    "leave_out": ["description"],
    "hash": ["receipt_email"],
    "method": "merge",
    "partition": "3 months",
    "deleted": "drop",
    "history": True,
    "reread_days": 3,
    "to": ["duckdb:///a.duckdb", "duckdb:///b.duckdb"],
    "table": "books",
    "schedule": "every 2 hours",
    "zone": "Europe/Berlin",
    "after": "Refunds",
    "retry": 5,
    "retry_minutes": 4,
    "retry_manual": True,
    "deadline_minutes": 90,
    "checks": "none",
    "deep_checks": "weekly on Sunday at 03:00 in UTC",
    "hold": True,
}
#: Options that the form composes from several fields, and options that it does not offer.
COMPOSED = {"options", "since", "until", "last_days", "leave_out", "hash", "partition", "deleted", "to", "schedule"}
COMPOSED |= {"zone", "after"}
NOT_IN_FORM = {"checks", "deep_checks", "hold"}

every_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """A dataset with a value for every option."""
    now = datetime(2027, 1, 4, tzinfo=UTC)
    fields = read_changes(GIVEN)
    targets = tuple(Target(url=url, table=fields["table"]) for url in fields.pop("to"))
    del fields["table"]
    return Dataset(
        id="ds_1", name="Charges", account="acc_1", report="charges", targets=targets, pause=None, bookmark=None,
        next_due_at=None, failures=0, created_at=now, updated_at=now, **fields,
    )  # fmt: skip


def test_every_option_has_a_value_here() -> None:
    assert list(GIVEN) == [option.name for option in OPTIONS]


@every_option
def test_option_is_a_field_of_the_configuration_file(option: Option, dataset: Dataset) -> None:
    table = dataset_table(dataset, account="Shop", after="Refunds")
    assert table[option.name] == GIVEN[option.name]
    (entry,) = read_config(write_config({}, {"Charges": table})).datasets
    assert read_changes(table) == entry.fields


@every_option
def test_option_missing_in_the_file_has_its_default(option: Option, dataset: Dataset) -> None:
    without = {name: value for name, value in GIVEN.items() if name != option.name}
    restored = read_changes(without | {option.name: None}, dataset)
    group = option.group or option.field
    assert group in {"method", "targets"} or option.name == "zone" or restored[group] != getattr(dataset, group)


def test_every_option_is_a_flag(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("create", "edit"):
        assert run(["datasets", command, "--help"]) == 0
        words = capsys.readouterr().out.split()
        assert {option.flag or f"--{option.name.replace('_', '-')}" for option in OPTIONS} <= set(words)


def test_every_option_is_a_field_of_the_api(app: App) -> None:
    schemas = document(api(app).routes)["components"]["schemas"]
    shown = {"choice": "Choice", "merge": "Merge", "retry": "Retry", "proof": "Proof", "targets": "Target"}
    for option in OPTIONS:
        assert all(option.name in schemas[body]["properties"] for body in ("DatasetBody", "DatasetChanges"))
        assert option.attribute in schemas[shown.get(option.group, "Dataset")]["properties"]


@every_option
def test_option_is_stored(option: Option) -> None:
    assert option.group == "targets" or (option.group or option.field) in datasets.c


def test_form_has_every_option_except_checks() -> None:
    assert {option.name for option in OPTIONS} - {option.name for option in FIELDS} == COMPOSED | NOT_IN_FORM


@pytest.mark.parametrize("option", FIELDS, ids=lambda option: option.name)
def test_field_of_the_form_changes_only_its_option(option: Option, dataset: Dataset) -> None:
    before = replace(dataset, after=None, partition=None, choice=replace(dataset.choice, last_days=None))
    form = typed_of(before)
    assert form.value(option) == GIVEN[option.name]
    assert set(changes_of(form, before)) == {"to", "table"}
    if option.limits is not None:
        setattr(form, option.form, "7")
        changes = changes_of(form, before)
        assert len(changes) == 3
        changed = changes[option.group or option.field]
        assert (getattr(changed, option.attribute) if option.group else changed) == 7


def test_form_shows_every_field_in_its_pane(app: App, site: Site, sandbox: Sandbox) -> None:
    shop: Account = app.accounts.add("Shop", FULL, api_base=sandbox.url)
    made = app.datasets.create("Charges", account=shop.name, report="charges").dataset
    owner = site.owner()
    for pane in ("details", "scheduling", "naming"):
        edit = f"/datasets/{made.id}/edit"
        form = form_of(owner.get(f"{edit}?pane={pane}").text, edit)
        assert {option.form for option in FIELDS if option.pane == pane} <= form.shown | {
            name for name, _ in form.pairs
        }


def test_labeled_options_are_shown_with_their_unit(dataset: Dataset) -> None:
    assert dict(labeled_options(dataset))["deadline"] == "90 minutes"
    assert dict(labeled_options(replace(dataset, deadline_minutes=1)))["deadline"] == "1 minute"
    assert dict(labeled_options(replace(dataset, deadline_minutes=None)))["deadline"] == ""
