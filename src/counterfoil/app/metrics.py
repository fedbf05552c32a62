"""Prometheus metrics of datasets, runs and the service, read from the state at each scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from counterfoil.app.datasets.service import DatasetService, DatasetSummary
from counterfoil.runs.run_context import RunContext
from counterfoil.state.check import worst

#: The content type of the Prometheus text format.
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PROOFS = {"PASS": 1.0, "FAIL": 0.0}


class MetricService:
    """Metrics of datasets, runs and the service."""

    def __init__(self, datasets: DatasetService, records: RunContext) -> None:
        self._datasets = datasets
        self._records = records

    def text(self, health: Mapping[str, Any]) -> bytes:
        """The metrics in the Prometheus text format; `health` comes from the service."""
        shown = self._datasets.list()
        registry = CollectorRegistry()
        registry.register(_Look([*self._of_datasets(shown), *self._of_runs(shown), *_of_service(health)]))
        return generate_latest(registry)

    def _of_datasets(self, shown: Sequence[DatasetSummary]) -> Iterator[Metric]:
        updated = _gauge("dataset_updated_timestamp_seconds", "End of the last successful run, in Unix seconds.")
        due = _gauge("dataset_due_timestamp_seconds", "Next due time, in Unix seconds.")
        failures = _gauge("dataset_failures", "Consecutive failed runs.")
        paused = _gauge("dataset_paused", "1 while the dataset is paused.")
        proved = _gauge("dataset_proved", "1 if all checks of the tables passed, 0 if a check failed.")
        updated_at = self._records.runs.updated_at()
        for one in shown:
            dataset, labels = one.dataset, _labels(one)
            if dataset.id in updated_at:
                updated.add_metric(labels, updated_at[dataset.id].timestamp())
            if dataset.next_due_at is not None:
                due.add_metric(labels, dataset.next_due_at.timestamp())
            failures.add_metric(labels, dataset.failures)
            paused.add_metric(labels, dataset.pause is not None)
            if (value := _PROOFS.get(worst(one.checks) or "")) is not None:
                proved.add_metric(labels, value)
        yield from (updated, due, failures, paused, proved)

    def _of_runs(self, shown: Sequence[DatasetSummary]) -> Iterator[Metric]:
        ended = CounterMetricFamily("counterfoil_runs", "Ended runs.", labels=[*_LABELS, "status"])
        active = _gauge("runs_active", "Queued, running and waiting runs.", "status")
        known = {one.dataset.id: _labels(one) for one in shown}
        counts: dict[str, int] = {"queued": 0, "running": 0, "waiting": 0}
        for (dataset, status), number in self._records.runs.counts().items():
            if status in counts:
                counts[status] += number
            elif dataset in known:
                ended.add_metric([*known[dataset], status], number)
        for status, number in counts.items():
            active.add_metric([status], number)
        yield from (ended, active)


_LABELS = ("dataset", "account", "report")


def _labels(one: DatasetSummary) -> list[str]:
    return [one.dataset.name, one.account.name, one.dataset.report]


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"counterfoil_{name}", about, labels=labels or _LABELS)


def _of_service(health: Mapping[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily("counterfoil_up", "1 while the service claims due datasets.", value=float(health["ok"]))
    if "nodes" in health:
        yield GaugeMetricFamily("counterfoil_nodes", "Nodes that use this state.", value=health["nodes"])
    queue = _gauge("queue", "Attempts in the queue.", "status")
    for status, number in health.get("queue", {}).items():
        queue.add_metric([status], number)
    yield queue


class _Look:
    """The metrics of one scrape, as a collector."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics
