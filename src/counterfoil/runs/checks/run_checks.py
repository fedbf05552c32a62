"""Makes and stores the checks of a run. A check that can't be made is reported, and never fails the run."""

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

#: How long checks after a run wait for a locked table; checks that can't read it report that.
PROOF_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Makes the checks of one run's rows, table by table."""

    records: RunContext
    dataset: Dataset
    run: Run
    #: Called with the name of each check before it runs.
    watch: Callable[[str], None] | None = None

    def before_load(self, target: Target, destination: Destination) -> None:
        """Makes and stores the checks that are possible before the load; RunError if one of them fails."""
        with scratch_of(self.records.settings, self.run.id) as scratch:
            checks = before_load(subject_of(self.records, self.dataset, self.run, target, destination, scratch=scratch))
        self.records.checks.keep(self.run.id, target.url, target.table, checks)
        failed = next((check for check in checks if check.result == "FAIL"), None)
        if failed is not None:
            raise RunError(
                f"nothing was loaded, because the check {failed.name} ({failed.family}) failed: {failed.reason}",
                hint=f"Look at it with `counterfoil prove {self.dataset.id} --run {self.run.id}`, and run it again.",
            )

    def after_load(
        self,
        destinations: Iterable[tuple[Target, Destination]],
        connected: Callable[[], AbstractContextManager[Client]],
        cancellation: Cancellation,
    ) -> None:
        """Makes the checks of a run that has just loaded its rows, and the deep ones if they are due.

        `connected` returns a client; its requests count as the run's. A canceled run is not checked.
        """
        deep = ThoroughOptions(recount=Recount(seed=secrets.randbelow(2**31))) if self.is_deep_due() else None
        with ExitStack() as stack:
            inquiry = None
            with suppress(SettingsError):  # the key is unavailable
                most = None if deep is not None else affordable(sum(self.run.requests.values()))
                inquiry = StripeRequests(stack.enter_context(connected()), check=cancellation.check, requests=most)
            try:
                made: list[Check] = []
                for target, destination in destinations:
                    cancellation.check()
                    made += self.prove(target, destination, inquiry, deep)
            except (Canceled, DeadlinePassed):
                self.records.runs.log(self.run.id, "info", "Not checked: the run was canceled or passed its deadline.")
            else:
                check_failed(self.records.alerts, self.dataset, self.run, made, self._earlier())

    def prove(
        self,
        target: Target,
        destination: Destination,
        inquiry: StripeRequests | None,
        deep: ThoroughOptions | None = None,
    ) -> list[Check]:
        """Makes and stores the cheap checks of one table or, with `deep`, all checks."""

        def make() -> list[Check]:
            if (target.url, target.table) not in {
                (load.url, load.table) for load in self.records.runs.loads(self.run.id)
            }:
                raise RunError(f"table {target.table} does not have the rows of run {self.run.id}")
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
        """The checks of the previous run."""
        before = next(
            (one for one in self.records.runs.list(self.dataset.id, "succeeded", 2) if one.id != self.run.id), None
        )
        return () if before is None else self.records.checks.of_run(before.id)

    def is_deep_due(self) -> bool:
        """Whether the deep checks are due with this run."""
        schedule = self.dataset.proof.deep
        if schedule is None:
            return False
        last = self.records.checks.last_made_at(self.dataset.id, "recount") or self.dataset.created_at
        due = next_after(schedule, last)
        return due is not None and due <= self.records.now()

    def _log(self, checks: list[Check], *, requests: int) -> None:
        for check in checks:
            if check.result == "FAIL":
                text = f"Check failed: {check.name} ({check.family}): {check.reason}"
                self.records.runs.log(self.run.id, "warning", text)
        results = [check.result for check in checks]
        counts = ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(sorted(results)))
        text = f"Checks: {worst(checks)} ({counts}), {counted(requests, 'request')}."
        self.records.runs.log(self.run.id, "info", text)


def _told(make: Callable[[], list[Check]]) -> list[Check]:
    """The checks, or one INCONCLUSIVE check with the reason why there are none."""
    try:
        return make()
    except (Canceled, DeadlinePassed, LostOwnership):
        raise
    except (AccountError, TransientError, RunError, SettingsError) as error:
        return [inconclusive("coverage", "table", f"Nothing could be compared: {str(error).rstrip('.')}.")]
