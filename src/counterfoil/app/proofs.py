"""Proofs: checks made now, and statements of what was checked."""

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

#: How long a person waits for a destination that another process holds.
_BUSY_SECONDS = 10.0
_ACTIVE: tuple[Status, ...] = ("queued", "running", "waiting")


class ProofService:
    """What is proved of datasets, which go by name or id."""

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
        """Makes every check of a dataset's tables now, and keeps them with the run that left the tables as they are.

        So many windows are read again, chosen by the seed, or with None everything. RunError while the dataset runs.
        `observe` is told the check that is made and the requests so far; what `check` raises, which is called
        meanwhile, ends it, and then nothing is kept of the table that was looked at.
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
        """RunError when there is nothing to prove, or when the dataset runs."""
        self._proved_run(self._records.datasets.get(name_or_id))

    def kept(self, name_or_id: str, run: str | None = None) -> Statement:
        """The latest checks of a run, or of the one that left the tables as they are."""
        dataset = self._records.datasets.get(name_or_id)
        found = self._proved_run(dataset, idle=False) if run is None else self._records.runs.get(run)
        if found.dataset != dataset.id:
            other = self._records.datasets.get(found.dataset).name
            raise SettingsError(
                f"The run {found.id} is not one of {dataset.name!r}, but of {other!r}",
                hint=f"Its own: counterfoil runs list {shlex.quote(dataset.name)}",
            )
        other_run = rollback_target(found)
        return self._statement(dataset, self._records.runs.get(other_run) if other_run else found)

    def of_dataset(self, dataset: Dataset) -> tuple[StoredCheck, ...]:
        """The latest checks of what is in the dataset's tables."""
        run = (dataset.bookmark or {}).get("run")
        return () if run is None else self._records.checks.of_run(run)

    def of_run(self, run: str) -> tuple[StoredCheck, ...]:
        """The latest checks of a run."""
        return self._records.checks.of_run(run)

    def _proved_run(self, dataset: Dataset, *, idle: bool = True) -> Run:
        """The run whose rows are in the tables."""
        active = next(iter(self._records.runs.list(dataset.id, _ACTIVE, 1)), None) if idle else None
        if active is not None:
            raise RunError(
                f"The dataset {dataset.name!r} has a run that is not over: {active.id} ({active.status})",
                hint=f"Wait for it, or: counterfoil runs cancel {active.id}",
            )
        for run in self._records.runs.list(dataset.id, "succeeded", 1):
            other = rollback_target(run)
            return run if other is None else self._records.runs.get(other)
        raise RunError(
            f"There is nothing to prove: no run of {dataset.name!r} has succeeded",
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
            raise RunError(f"The run {run.id} read nothing: it {run.status}", hint="There is nothing to prove of it.")
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
    """What of the report, in words."""
    told: list[str] = [narrowed_by(plan.plan).strip(" ()")]
    lists: tuple[tuple[str, Any], ...] = (("without", plan.choice.left_out), ("hashed", plan.choice.hashed))
    told += [f"{said} {', '.join(names)}" for said, names in lists if names]
    return "; ".join(each for each in told if each) or "everything"


def _places(records: RunContext, dataset: Dataset) -> Iterator[str]:
    for target in dataset.targets:
        with closing(open_destination(target.url, relative_to=records.settings.home, settings=records.settings)) as one:
            yield f"{target.table} of {one.name}"
