"""The checks of a run, made and kept. What can't be checked is said so; it never is the run's failure."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass

from counterfoil.destinations import Destination
from counterfoil.errors import AccountError, RunError, SettingsError, TransientError
from counterfoil.proof.check import Check, counted, inconclusive, worst
from counterfoil.proof.check_selection import (
    ThoroughOptions,
    affordable,
    archive_checks,
    before_load,
    cheap_checks,
    thorough_checks,
)
from counterfoil.proof.recount import Recount
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.runs.cancellation import Canceled, Cancellation, DeadlinePassed
from counterfoil.runs.checks.proof_context import scratch_of, subject_of
from counterfoil.runs.notifications import check_failed
from counterfoil.runs.run_context import RunContext
from counterfoil.schedules import next_after
from counterfoil.state.check import StoredCheck
from counterfoil.state.dataset import Dataset, Target
from counterfoil.state.run import LostOwnership, Run
from counterfoil.stripe.client import Client

#: How long checks that follow a run wait for a table that another process holds; what they can't see, they say so.
PROOF_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Makes checks of one run's rows, in one table after the other."""

    records: RunContext
    dataset: Dataset
    run: Run
    #: Called with the name of each check before it is made.
    watch: Callable[[str], None] | None = None

    def before_load(self, target: Target, destination: Destination) -> None:
        """Keeps what can be told before the load; RunError when that is a FAIL."""
        with scratch_of(self.records.settings, self.run.id) as scratch:
            checks = before_load(subject_of(self.records, self.dataset, self.run, target, destination, scratch=scratch))
        self.records.checks.keep(self.run.id, target.url, target.table, checks)
        found = next((check for check in checks if check.result == "FAIL"), None)
        if found is not None:
            raise RunError(
                f"Nothing was loaded, since a check failed: {found.name} ({found.family}): {found.reason}",
                hint=f"Look at it with `counterfoil prove {self.dataset.id} --run {self.run.id}`, and run it again.",
            )

    def after_load(
        self,
        destinations: Iterable[tuple[Target, Destination]],
        connected: Callable[[], AbstractContextManager[Client]],
        cancellation: Cancellation,
    ) -> None:
        """Makes the checks of a run that has just loaded its rows, the deeper ones when they are due.

        `connected` gives a client; what it spends is the run's. A run that is to end is not proved.
        """
        deep = ThoroughOptions(recount=Recount(seed=secrets.randbelow(2**31))) if self.is_deep_due() else None
        with ExitStack() as stack:
            inquiry = None
            with suppress(SettingsError):  # the key is not at hand
                most = None if deep is not None else affordable(sum(self.run.requests.values()))
                inquiry = StripeRequests(stack.enter_context(connected()), check=cancellation.check, requests=most)
            try:
                made: list[Check] = []
                for target, destination in destinations:
                    cancellation.check()
                    made += self.prove(target, destination, inquiry, deep)
            except (Canceled, DeadlinePassed):
                self.records.runs.log(self.run.id, "info", "Not proved: the run was to end.")
            else:
                check_failed(self.records.alerts, self.dataset, self.run, made, self._earlier())

    def prove(
        self,
        target: Target,
        destination: Destination,
        inquiry: StripeRequests | None,
        deep: ThoroughOptions | None = None,
    ) -> list[Check]:
        """Makes and keeps the cheap checks of one table, or with `deep` all of them."""

        def make() -> list[Check]:
            if (target.url, target.table) not in {
                (load.url, load.table) for load in self.records.runs.loads(self.run.id)
            }:
                raise RunError(f"the rows of the run {self.run.id} are not in {target.table}")
            with scratch_of(self.records.settings, self.run.id) as scratch, destination.holding():
                subject = subject_of(
                    self.records, self.dataset, self.run, target, destination, scratch=scratch, watch=self.watch
                )
                if "query" not in destination.kind.guarantees:
                    return archive_checks(subject)
                if deep is not None and inquiry is not None:
                    return thorough_checks(subject, inquiry, deep)
                return cheap_checks(subject, inquiry)

        before = 0 if inquiry is None else inquiry.spent
        checks = _told(make)
        self.records.checks.keep(self.run.id, target.url, target.table, checks)
        self._log(checks, requests=0 if inquiry is None else inquiry.spent - before)
        return checks

    def _earlier(self) -> tuple[StoredCheck, ...]:
        """The checks of the run before."""
        before = next(
            (one for one in self.records.runs.list(self.dataset.id, "succeeded", 2) if one.id != self.run.id), None
        )
        return () if before is None else self.records.checks.of_run(before.id)

    def is_deep_due(self) -> bool:
        """Whether the deeper checks are to be made with this run."""
        schedule = self.dataset.proof.deep
        if schedule is None:
            return False
        last = self.records.checks.last_made_at(self.dataset.id, "recount") or self.dataset.created_at
        due = next_after(schedule, last)
        return due is not None and due <= self.records.now()

    def _log(self, checks: list[Check], *, requests: int) -> None:
        for check in checks:
            if check.result == "FAIL":
                told = f"Check failed: {check.name} ({check.family}): {check.reason}"
                self.records.runs.log(self.run.id, "warning", told)
        results = [check.result for check in checks]
        counts = ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(sorted(results)))
        told = f"Proved: {worst(checks)} ({counts}), with {counted(requests, 'request')}."
        self.records.runs.log(self.run.id, "info", told)


def _told(make: Callable[[], list[Check]]) -> list[Check]:
    """The checks, or the one that says why there are none."""
    try:
        return make()
    except (Canceled, DeadlinePassed, LostOwnership):
        raise
    except (AccountError, TransientError, RunError, SettingsError) as error:
        return [inconclusive("coverage", "table", f"Nothing could be compared: {str(error).rstrip('.')}.")]
