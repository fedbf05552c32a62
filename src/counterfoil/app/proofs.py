"""Verification of datasets: new checks, and statements of completeness from stored checks."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from counterfoil.destinations import open_destination
from counterfoil.errors import RunError, SettingsError
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.proof.check_selection import ThoroughOptions
from counterfoil.proof.payouts import NEWEST
from counterfoil.proof.recount import WINDOWS, Recount
from counterfoil.proof.statement import Statement
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.reports.catalogue import report as report_of
from counterfoil.runs.checks.run_checks import Prover
from counterfoil.runs.clients import client_of
from counterfoil.runs.loads.rollback import rollback_target
from counterfoil.runs.plans.dataset_plan import DatasetPlan, from_json
from counterfoil.runs.plans.overwrite_check import narrowed_by
from counterfoil.runs.progress import Observe, Progress, unobserved
from counterfoil.runs.run_context import RunContext
from counterfoil.state.check import StoredCheck
from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Run, Status
from counterfoil.stripe.client import Client
from counterfoil.stripe.retries import PROOF
from counterfoil.version import __version__

#: How long a user waits for a destination that another process has locked.
_BUSY_SECONDS = 10.0
_ACTIVE: tuple[Status, ...] = ("queued", "running", "waiting")


class ProofService:
    """Verification of datasets, by name or id."""

    def __init__(self, records: RunContext) -> None:
        self._records = records

    def prove(
        self,
        name_or_id: str,
        *,
        recount: int | None = WINDOWS,
        seed: int | None = None,
        payouts: int = NEWEST,
        observe: Observe = unobserved,
        check: Callable[[], None] | None = None,
    ) -> Statement:
        """Makes every check of a dataset's tables now, and stores the results with the run of the tables' version.

        `recount` is the number of windows to read again, selected by the seed; None for all data. RunError if a run is
        active. `observe` receives the current check and the number of API requests. `check` is called periodically; an
        exception from it stops the verification, and the results of the current table are not stored.
        """
        dataset = self._records.datasets.get(name_or_id)
        run = self._proved_run(dataset)
        seed = secrets.randbelow(2**31) if seed is None else seed
        deep = ThoroughOptions(recount=Recount(windows=recount, seed=seed), payouts=payouts)
        settings = self._records.settings
        quick = settings.model_copy(update={"busy_seconds": min(settings.busy_seconds, _BUSY_SECONDS)})
        doing = ""
        with self._client(from_json(run.plan)) as client:

            def look() -> None:
                if check is not None:
                    check()
                observe(Progress(dataset.name, "proving", requests=client.requests.total(), note=doing))

            def watch(name: str) -> None:
                nonlocal doing
                doing = name
                look()

            prover = Prover(records=self._records, dataset=dataset, run=run, watch=watch)
            for target in dataset.targets:
                with closing(open_destination(target.url, relative_to=settings.home, settings=quick)) as destination:
                    prover.prove(target, destination, StripeRequests(client, check=look), deep)
        return self._statement(dataset, run, requests=client.requests.total())

    def check_provable(self, name_or_id: str) -> None:
        """RunError if the dataset has no successful run, or if a run is active."""
        self._proved_run(self._records.datasets.get(name_or_id))

    def kept(self, name_or_id: str, run: str | None = None) -> Statement:
        """The statement of the latest checks of a run, by default the run of the tables' version."""
        dataset = self._records.datasets.get(name_or_id)
        found = self._proved_run(dataset, idle=False) if run is None else self._records.runs.get(run)
        if found.dataset != dataset.id:
            other = self._records.datasets.get(found.dataset).name
            raise SettingsError(
                f"run {found.id} belongs to dataset {other!r}, not {dataset.name!r}",
                hint=f"List its runs: counterfoil runs list {shlex.quote(dataset.name)}",
            )
        other_run = rollback_target(found)
        return self._statement(dataset, self._records.runs.get(other_run) if other_run else found)

    def of_dataset(self, dataset: Dataset) -> tuple[StoredCheck, ...]:
        """The latest checks of the version in the dataset's tables."""
        run = (dataset.bookmark or {}).get("run")
        return () if run is None else self._records.checks.of_run(run)

    def of_run(self, run: str) -> tuple[StoredCheck, ...]:
        """The latest checks of a run."""
        return self._records.checks.of_run(run)

    def _proved_run(self, dataset: Dataset, *, idle: bool = True) -> Run:
        """The run of the version in the tables."""
        active = next(iter(self._records.runs.list(dataset.id, _ACTIVE, 1)), None) if idle else None
        if active is not None:
            raise RunError(
                f"dataset {dataset.name!r} has an active run: {active.id} ({active.status})",
                hint=f"Wait for it to end, or: counterfoil runs cancel {active.id}",
            )
        for run in self._records.runs.list(dataset.id, "succeeded", 1):
            other = rollback_target(run)
            return run if other is None else self._records.runs.get(other)
        raise RunError(
            f"nothing to verify: no run of {dataset.name!r} has succeeded",
            hint=f"Run it first: counterfoil run {shlex.quote(dataset.name)}",
        )

    @contextmanager
    def _client(self, plan: DatasetPlan) -> Iterator[Client]:
        client = client_of(self._records, plan.credential, backoff=PROOF)
        try:
            yield client
        finally:
            wait_for(client.close())

    def _statement(self, dataset: Dataset, run: Run, *, requests: int | None = None) -> Statement:
        if not run.plan:
            raise RunError(f"run {run.id} has no data to verify: it {run.status}", hint="Choose another run.")
        plan = from_json(run.plan)
        return Statement(
            dataset=dataset.name,
            report=report_of(plan.report).title,
            choice=_choice(plan),
            method=plan.method,
            places=tuple(_places(self._records, dataset)),
            account=self._records.accounts.get(plan.credential).name,
            stripe_account=plan.account,
            livemode=plan.livemode,
            run=run.id,
            run_ended_at=run.finished_at,
            as_of=datetime.fromtimestamp(plan.as_of, UTC),
            api_version=plan.api_version,
            program_version=__version__,
            checks=self._records.checks.of_run(run.id),
            requests=requests,
        )


def _choice(plan: DatasetPlan) -> str:
    """The selected data of the report, as text."""
    parts: list[str] = [narrowed_by(plan.plan).strip(" ()")]
    lists: tuple[tuple[str, Any], ...] = (("without", plan.choice.left_out), ("hashed", plan.choice.hashed))
    parts += [f"{label} {', '.join(names)}" for label, names in lists if names]
    return "; ".join(each for each in parts if each) or "everything"


def _places(records: RunContext, dataset: Dataset) -> Iterator[str]:
    for target in dataset.targets:
        with closing(open_destination(target.url, relative_to=records.settings.home, settings=records.settings)) as one:
            yield f"{target.table} of {one.name}"
