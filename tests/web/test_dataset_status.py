"""A dataset has one status, which is the same on every page, in the API and on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from counterfoil.app.app import App
from counterfoil.app.datasets.dictionaries import summary_dict
from counterfoil.cli.output.datasets import list_line
from counterfoil.errors import RunError
from counterfoil.proof.check import Check, failed, passed
from counterfoil.runs.loads.rollback import plan_rollback
from counterfoil.runs.loads.size_check import TABLE_WOULD_SHRINK
from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Counts, Run
from tests.web.browser import Browser
from tests.web.conftest import Site, StandingClock
from tests.web.tabled import dataset, ran
from tests.web.test_dataset import figure

PASS = passed("keys", "double keys", "No two rows have the same id.")
FAIL = failed("balance", "payments", "They differ.", {})


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


def _status(app: App, made: Dataset) -> str:
    """The status, which must be the same in the list, in the API and on the command line."""
    shown = app.datasets.show(made.id)
    (listed,) = (one for one in app.datasets.list() if one.dataset.id == made.id)
    assert shown.status == listed.status
    assert summary_dict(shown)["status"] == shown.status.code
    assert list_line(shown)[-1].startswith(shown.status.label)
    return shown.status.code


def _succeeded(app: App, made: Dataset, clock: StandingClock, checks: Sequence[Check] = ()) -> Run:
    clock.advance(seconds=1)
    run = ran(app, made, clock, Counts(read=1))
    app.records.checks.keep(run.id, made.targets[0].url, made.targets[0].table, list(checks))
    app.records.datasets.set_bookmark(made.id, {"run": run.id})
    return run


def _failed(app: App, made: Dataset, clock: StandingClock, code: str | None = None) -> None:
    clock.advance(seconds=1)
    run = app.records.runs.create(made.id, "schedule")
    owner = app.records.runs.begin_attempt(run.id)
    app.records.runs.finish(run.id, "failed", owner=owner, error=RunError("it failed", hint="Do this.", code=code))


def _rolled_back(app: App, made: Dataset, clock: StandingClock, to: Run) -> Run:
    clock.advance(minutes=5)
    run = app.records.runs.create(made.id, "manual")
    app.records.runs.update(run.id, plan=plan_rollback(to))
    owner = app.records.runs.begin_attempt(run.id)
    clock.advance(seconds=2)
    app.records.runs.finish(run.id, "succeeded", owner=owner, bookmark={"run": to.id})
    return app.records.runs.get(run.id)


def test_first_applicable_status_is_shown(app: App, clock: StandingClock) -> None:
    made = dataset(app)
    assert _status(app, made) == "new"
    _succeeded(app, made, clock)
    assert _status(app, made) == "ok"
    _succeeded(app, made, clock, [PASS])
    assert _status(app, made) == "verified"
    _succeeded(app, made, clock, [PASS, FAIL])
    assert _status(app, made) == "attention"
    _succeeded(app, made, clock, [PASS])
    clock.advance(days=1)
    assert _status(app, made) == "late"
    _failed(app, made, clock)
    assert _status(app, made) == "attention"
    app.datasets.pause(made.id)
    assert _status(app, made) == "paused"
    clock.advance(seconds=1)
    app.records.runs.create(made.id, "manual")
    assert _status(app, made) == "running"


@pytest.mark.parametrize(
    ("code", "cause"), [(None, "run_failed"), ("unknown", "run_failed"), (TABLE_WOULD_SHRINK, "table_would_shrink")]
)
def test_cause_of_attention_depends_on_the_error_code(
    app: App, clock: StandingClock, code: str | None, cause: str
) -> None:
    made = dataset(app)
    _failed(app, made, clock, code)
    summary = summary_dict(app.datasets.show(made.id))
    assert summary["attention"] == {"cause": cause, "message": "it failed", "hint": "Do this."}


def test_paused_dataset_has_no_other_status(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    _succeeded(app, made, clock, [PASS])
    app.datasets.pause(made.id)
    for page in ("/", f"/datasets/{made.id}"):
        text = owner.get(page).text
        body = text[text.index("<main") :]
        words = re.findall(r'class="status [^"]*">.*?<span>([^<]*)</span>', body, re.DOTALL)
        assert words == ["Paused"], page


def test_rolled_back_table_shows_version_and_next_update(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    first = _succeeded(app, made, clock, [PASS])
    clock.advance(minutes=20)
    second = _succeeded(app, made, clock, [PASS])
    back = _rolled_back(app, made, clock, first)
    shown = app.datasets.show(made.id)
    assert _status(app, made) == "rolled_back"
    assert shown.rollback is not None
    assert (shown.rollback.run, shown.rollback.version_at) == (first.id, first.finished_at)
    assert shown.rollback.at == back.finished_at
    assert summary_dict(shown)["rollback"]["run"] == first.id
    text = owner.get(f"/datasets/{made.id}").text
    assert "holds the version of" in text
    assert "&lt;time" not in text
    assert "The next update" in text
    assert figure(text, "Last updated").startswith("25 minutes"), "not the time of the rollback"
    assert "Next update" in owner.get("/").text
    assert f"version of {first.finished_at:%Y-%m-%d %H:%M}" in list_line(shown)[-1]
    _rolled_back(app, made, clock, second)
    assert app.datasets.show(made.id).rollback is None, "the newest version"
    _rolled_back(app, made, clock, back)
    again = app.datasets.show(made.id).rollback
    assert again is not None
    assert again.run == first.id
    _failed(app, made, clock)
    assert app.datasets.show(made.id).rollback is not None, "a failed run changes no table"
    _succeeded(app, made, clock, [PASS])
    assert app.datasets.show(made.id).rollback is None
    assert _status(app, made) == "verified"


def test_shrinking_table_can_be_accepted(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    _failed(app, made, clock, TABLE_WOULD_SHRINK)
    assert 'name="action" value="allow-shrink"' in owner.get(f"/datasets/{made.id}").text
    _failed(app, made, clock)
    assert 'value="allow-shrink"' not in owner.get(f"/datasets/{made.id}").text
