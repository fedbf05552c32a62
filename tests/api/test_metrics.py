"""Metrics of datasets, runs and the service, in the format of Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from counterfoil.app.app import App
from counterfoil.proof.check import failed, passed
from counterfoil.schedules import parse
from counterfoil.state.run import Counts
from tests.api.program import Program
from tests.web.conftest import StandingClock
from tests.web.tabled import dataset, ran


def figures(program: Program) -> dict[str, float]:
    """Values by the name of the metric and the values of its labels, sorted by the names of the labels."""
    answer = program.ask("GET", "/metrics", status=200)
    return {
        " ".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels))]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_empty_service_reports_that_it_is_up(program: Program) -> None:
    found = figures(program)
    assert found["counterfoil_up"] == 1
    assert found["counterfoil_runs_active running"] == 0


def test_each_dataset_has_metrics(app: App, program: Program, clock: StandingClock) -> None:
    made = dataset(app)
    app.datasets.edit(made.id, schedule=parse("daily at 06:00"))
    run = ran(app, made, clock, Counts(read=10))
    app.records.datasets.set_bookmark(made.id, {"run": run.id, "as_of": 1})
    target = made.targets[0]
    app.records.checks.keep(run.id, target.url, target.table, [passed("coverage", "pages", "All.")])
    labels = f"{app.accounts.list()[0].name} {made.name} {made.report}"
    found = figures(program)
    shown = app.datasets.get(made.id)
    ended = app.runs.get(run.id).finished_at
    assert shown.next_due_at is not None
    assert ended is not None
    assert found[f"counterfoil_dataset_updated_timestamp_seconds {labels}"] == ended.timestamp()
    assert found[f"counterfoil_dataset_due_timestamp_seconds {labels}"] == shown.next_due_at.timestamp()
    assert found[f"counterfoil_dataset_failures {labels}"] == 0
    assert found[f"counterfoil_dataset_proved {labels}"] == 1
    assert found[f"counterfoil_runs_total {labels} succeeded"] == 1
    app.datasets.pause(made.id)
    app.records.checks.keep(run.id, target.url, target.table, [failed("coverage", "pages", "One is missing.")])
    found = figures(program)
    assert found[f"counterfoil_dataset_paused {labels}"] == 1
    assert found[f"counterfoil_dataset_proved {labels}"] == 0
