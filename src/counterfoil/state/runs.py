"""Runs: one active run per dataset, the ownership of attempts, their results, logs and loads."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa

from counterfoil.errors import CounterfoilError, RunError, SettingsError
from counterfoil.state import names
from counterfoil.state.database import State
from counterfoil.state.run import (
    Attempt,
    Counts,
    Ending,
    Level,
    Line,
    LoadRecord,
    LostOwnership,
    Run,
    Status,
    Trigger,
    described,
    without_secrets,
)
from counterfoil.state.tables import ACTIVE, attempts, datasets, loads, run_lines, runs

__all__ = ["Attempt", "Counts", "Line", "LoadRecord", "Run", "Runs"]

#: The number of newest runs that are compared with an unknown id.
_NEAR_RUNS = 1000


class Runs:
    """The runs of all datasets."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(
        self,
        dataset: str,
        trigger: Trigger,
        due_at: datetime | None = None,
        *,
        deadline_at: datetime | None = None,
        reason: str | None = None,
    ) -> Run:
        """Creates a queued run of a dataset (by id).

        While the dataset has an active run, a manual run raises RunError, and any other run is stored as skipped, with
        the reason. A due time has one run: if it exists already, it is returned.
        """
        run = self._new_id()
        with self._state.begin() as connection:
            known = connection.scalar(sa.select(datasets.c.name).where(datasets.c.id == dataset))
            if known is None:
                raise names.unknown("dataset", dataset, ())
            values = {"id": run, "dataset": dataset, "trigger": trigger, "due_at": due_at, "deadline_at": deadline_at}
            try:
                # The database rejects a second active run and a second run of a due time. A check before the insert
                # is not enough: with Postgres, another process can insert in between.
                with connection.begin_nested():
                    self._insert(connection, status="queued", reason=reason, **values)
            except sa.exc.IntegrityError:
                same = self._of_due_time(connection, dataset, due_at)
                if same is not None:
                    return same
                active = self._active(connection, dataset)
                if active is None:  # it ended in between
                    return self.create(dataset, trigger, due_at, deadline_at=deadline_at, reason=reason)
                if trigger == "manual":
                    raise RunError(
                        f"the dataset {known!r} has an active run: {active.id} ({active.status})",
                        hint=f"Wait for it, or: counterfoil runs cancel {active.id}",
                    ) from None
                why = f"Run {active.id} was still active."
                self._insert(connection, status="skipped", reason=why, finished_at=self._state.now(), **values)
            return self._one(connection, run)

    def get(self, run: str) -> Run:
        """The run with an id."""
        with self._state.read() as connection:
            return self._one(connection, run)

    def list(
        self,
        dataset: str | None = None,
        status: Status | Sequence[Status] | None = None,
        limit: int = 50,
        *,
        before: Run | None = None,
    ) -> tuple[Run, ...]:
        """Runs, newest first, of one dataset (by id) or all, with some statuses or all; only those before `before`."""
        chosen = sa.select(runs).order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
        if before is not None:
            same = sa.and_(runs.c.created_at == before.created_at, runs.c.id < before.id)
            chosen = chosen.where(sa.or_(runs.c.created_at < before.created_at, same))
        if dataset is not None:
            chosen = chosen.where(runs.c.dataset == dataset)
        if status is not None:
            chosen = chosen.where(runs.c.status.in_([status] if isinstance(status, str) else list(status)))
        with self._state.read() as connection:
            return tuple(_run({**row}) for row in connection.execute(chosen).mappings())

    def updated_at(self) -> Mapping[str, datetime]:
        """The end of each dataset's newest successful run, by the dataset's id."""
        chosen = sa.select(runs.c.dataset, sa.func.max(runs.c.finished_at)).where(runs.c.status == "succeeded")
        with self._state.read() as connection:
            return {row[0]: row[1] for row in connection.execute(chosen.group_by(runs.c.dataset)).all()}

    def counts(self) -> Mapping[tuple[str, str], int]:
        """The number of runs by dataset (id) and status."""
        chosen = sa.select(runs.c.dataset, runs.c.status, sa.func.count()).group_by(runs.c.dataset, runs.c.status)
        with self._state.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(chosen).all()}

    def unfinished(self) -> tuple[Run, ...]:
        """All runs that are queued, running or between two attempts."""
        with self._state.read() as connection:
            found = connection.execute(sa.select(runs).where(runs.c.status.in_(ACTIVE))).mappings()
            return tuple(_run({**row}) for row in found)

    def attempts(self, run: str) -> tuple[Attempt, ...]:
        """The attempts of a run, oldest first."""
        chosen = sa.select(attempts).where(attempts.c.run == run).order_by(attempts.c.number)
        with self._state.read() as connection:
            return tuple(Attempt(**row) for row in connection.execute(chosen).mappings())

    def begin_attempt(self, run: str, *, workflow: str | None = None) -> str:
        """Begins an attempt; returns the token for its writes. Earlier tokens become invalid.

        A workflow that restarts after a crash continues its attempt; any other workflow begins a new one. RunError if
        the run has ended.
        """
        owner, now = secrets.token_hex(16), self._state.now()
        with self._state.begin() as connection:
            found = self._one(connection, run, lock=True)
            if found.status not in ACTIVE:
                raise RunError(f"run {run} has ended: {found.status}", hint="Start a new run.")
            known = workflow and connection.scalar(
                sa.select(attempts.c.number).where(attempts.c.run == run, attempts.c.workflow == workflow)
            )
            number = known or found.attempt + 1
            if known:
                self._change_attempt(connection, run, number, status="running", finished_at=None, error=None)
            else:
                self._end_attempt(connection, found, "failed", None)
                connection.execute(
                    attempts.insert().values(
                        run=run, number=number, status="running", started_at=now, workflow=workflow
                    )
                )
            started = found.started_at or now
            self._change(connection, run, status="running", attempt=number, owner=owner, started_at=started)
        return owner

    def owns(self, run: str, owner: str) -> bool:
        """Whether the attempt with this token may still write."""
        with self._state.read() as connection:
            chosen = sa.select(runs.c.id).where(runs.c.id == run, runs.c.owner == owner, runs.c.status == "running")
            return connection.scalar(chosen) is not None

    def update(self, run: str, *, owner: str | None = None, **changes: Any) -> Run:
        """Stores `plan`, `counts`, `requests`, `warnings`, `deadline_at` or `reason`.

        With a token: RunError if it does not allow writes any more.
        """
        unknown = changes.keys() - {"plan", "counts", "requests", "warnings", "deadline_at", "reason"}
        if unknown:
            raise ValueError(f"fields of a run that can't be changed: {', '.join(sorted(unknown))}")
        with self._state.begin() as connection:
            self._check_owner(self._one(connection, run, lock=True), owner)
            self._change(connection, run, **_stored(changes))
            return self._one(connection, run)

    def wait(self, run: str, error: CounterfoilError, *, owner: str | None = None) -> Run:
        """Ends a failed attempt of a run that gets another one."""
        with self._state.begin() as connection:
            found = self._one(connection, run, lock=True)
            self._check_owner(found, owner)
            if found.status in ACTIVE:
                self._end_attempt(connection, found, "failed", described(error))
                self._change(connection, run, status="waiting", owner=None, error=without_secrets(described(error)))
            return self._one(connection, run)

    def reopen(self, run: str, plan: Mapping[str, Any]) -> Run:
        """Lets a failed run continue with another attempt and this plan. RunError while another run is active."""
        values = {"status": "waiting", "finished_at": None, "error": None, "deadline_at": None, "plan": dict(plan)}
        with self._state.begin() as connection:
            found = self._one(connection, run, lock=True)
            try:
                if found.status == "failed":
                    with connection.begin_nested():
                        self._change(connection, run, **values)
            except sa.exc.IntegrityError:
                raise RunError("the dataset has an active run", hint="Wait for it, or cancel it.") from None
            return self._one(connection, run)

    def finish(
        self,
        run: str,
        status: Ending,
        *,
        owner: str | None = None,
        error: CounterfoilError | None = None,
        bookmark: Mapping[str, Any] | None = None,
        goes_on: bool = True,
        reason: str | None = None,
        **changes: Any,
    ) -> Run:
        """Ends a run and, in the same transaction, stores the dataset's bookmark and its number of failures in a row.

        The dataset gets the bookmark only if `goes_on`. A run that has ended is unchanged: the call is idempotent.
        `changes` are those of `update`.
        """
        with self._state.begin() as connection:
            # Locks the dataset first, as a claim does: in the other order, the two could deadlock.
            of_it = sa.select(runs.c.dataset).where(runs.c.id == run).scalar_subquery()
            connection.execute(sa.select(datasets.c.id).where(datasets.c.id == of_it).with_for_update())
            found = self._one(connection, run, lock=True)
            if found.status not in ACTIVE:
                return found
            self._check_owner(found, owner)
            failure = None if error is None else without_secrets(described(error))
            self._end_attempt(connection, found, status, failure)
            if changes:
                self.update(run, owner=owner, **changes)
            now = self._state.now()
            values: dict[str, Any] = {"status": status, "finished_at": now, "owner": None, "error": failure}
            if reason is not None:
                values["reason"] = without_secrets(reason)
            if status == "succeeded":
                values["bookmark"] = None if bookmark is None else dict(bookmark)
            self._change(connection, run, **values)
            self._tell_dataset(connection, found.dataset, status, bookmark if goes_on else None)
            return self._one(connection, run)

    def request_cancel(self, run: str, reason: str = "Canceled manually.") -> Run:
        """Cancels a queued or waiting run at once, and asks a running one to stop. RunError if it has ended."""
        with self._state.begin() as connection:
            found = self._one(connection, run, lock=True)
            if found.status not in ACTIVE:
                raise RunError(f"run {run} has ended: {found.status}", hint="Cancel only a run that has not ended.")
            self._change(connection, run, cancel_requested=True, reason=without_secrets(reason))
            if found.status != "running":
                return self.finish(run, "canceled")
            return self._one(connection, run)

    def log(self, run: str, level: Level, message: str, **fields: Any) -> None:
        """Adds a line to the run's log; removes Stripe keys from it."""
        line = {"level": level, "message": without_secrets(message), "fields": without_secrets(fields)}
        with self._state.begin() as connection:
            connection.execute(run_lines.insert().values(run=run, at=self._state.now(), **line))

    def lines(self, run: str, *, after: int = 0, limit: int = 10_000) -> tuple[Line, ...]:
        """The lines of the run's log after the one with a number, oldest first."""
        columns = [run_lines.c[name] for name in Line.__slots__]
        chosen = sa.select(*columns).where(run_lines.c.run == run, run_lines.c.number > after)
        with self._state.read() as connection:
            found = connection.execute(chosen.order_by(run_lines.c.number).limit(limit)).mappings()
            return tuple(Line(**line) for line in found)

    def record_load(self, run: str, url: str, table: str, method: str, rows: int) -> LoadRecord:
        """Records that the rows are in the table; idempotent."""
        key = {"run": run, "url": url, "table": table}
        values = {"method": method, "rows": rows, "at": self._state.now()}
        with self._state.begin() as connection:
            insert = self._state.insert(loads).values(**key, **values)
            connection.execute(insert.on_conflict_do_update(index_elements=list(key), set_=values))
        return LoadRecord(**key, **values)  # type: ignore[arg-type]

    def loads(self, run: str) -> tuple[LoadRecord, ...]:
        """The loads of the run, oldest first."""
        chosen = sa.select(loads).where(loads.c.run == run).order_by(loads.c.at, loads.c.url, loads.c.table)
        with self._state.read() as connection:
            return tuple(LoadRecord(**row) for row in connection.execute(chosen).mappings())

    def expired(self, keep_days: int = 30, keep_runs: int = 10) -> tuple[Run, ...]:
        """Runs whose archives can be removed, oldest first.

        Excludes active runs, runs that ended in the last `keep_days`, and the last `keep_runs` successful runs of each
        dataset.
        """
        place = sa.func.row_number().over(
            partition_by=runs.c.dataset, order_by=(runs.c.created_at.desc(), runs.c.id.desc())
        )
        ranked = sa.select(runs.c.id, place.label("place")).where(runs.c.status == "succeeded").subquery()
        kept = sa.select(ranked.c.id).where(ranked.c.place <= keep_runs)
        chosen = sa.select(runs).where(
            runs.c.finished_at < self._state.now() - timedelta(days=keep_days),
            runs.c.archive_removed_at.is_(None),
            runs.c.id.not_in(kept),
        )
        with self._state.read() as connection:
            found = connection.execute(chosen.order_by(runs.c.created_at, runs.c.id)).mappings()
            return tuple(_run({**row}) for row in found)

    def archive_removed(self, run: str) -> None:
        """Records that the run's archive was removed."""
        with self._state.begin() as connection:
            self._change(connection, run, archive_removed_at=self._state.now())

    def _new_id(self) -> str:
        """An id that sorts by time and differs between runs that are created in the same second."""
        return f"{self._state.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"

    def _insert(self, connection: sa.Connection, **values: Any) -> None:
        nothing = {"attempt": 0, "plan": {}, "requests": {}, "warnings": [], "cancel_requested": False}
        connection.execute(runs.insert().values(created_at=self._state.now(), **nothing, **asdict(Counts()), **values))

    def _end_attempt(
        self, connection: sa.Connection, run: Run, status: Ending, error: Mapping[str, Any] | None
    ) -> None:
        if run.status == "running":
            now = self._state.now()
            self._change_attempt(
                connection, run.id, run.attempt, status=status, finished_at=now, error=without_secrets(error)
            )

    @staticmethod
    def _change_attempt(connection: sa.Connection, run: str, number: int, **values: Any) -> None:
        one = (attempts.c.run == run) & (attempts.c.number == number)
        connection.execute(attempts.update().where(one).values(**values))

    def _tell_dataset(
        self, connection: sa.Connection, dataset: str, status: Ending, bookmark: Mapping[str, Any] | None
    ) -> None:
        change = datasets.update().where(datasets.c.id == dataset)
        if status == "failed":
            connection.execute(change.values(failures=datasets.c.failures + 1))
        elif status == "succeeded":
            values = {"failures": 0} if bookmark is None else {"failures": 0, "bookmark": dict(bookmark)}
            connection.execute(change.values(**values))

    @staticmethod
    def _change(connection: sa.Connection, run: str, **values: Any) -> None:
        if values:
            connection.execute(runs.update().where(runs.c.id == run).values(**values))

    @staticmethod
    def _check_owner(run: Run, owner: str | None) -> None:
        if owner is not None and (run.owner != owner or run.status != "running"):
            raise LostOwnership(
                f"another attempt of run {run.id} has taken over, or the run has ended: {run.status}",
                hint="Look at the run; this attempt wrote nothing.",
            )

    @staticmethod
    def _one(connection: sa.Connection, run: str, *, lock: bool = False) -> Run:
        chosen = sa.select(runs).where(runs.c.id == run)
        found = connection.execute(chosen.with_for_update() if lock else chosen).mappings().first()
        if found is None:
            raise _unknown(connection, run)
        return _run({**found})

    @staticmethod
    def _of_due_time(connection: sa.Connection, dataset: str, due_at: datetime | None) -> Run | None:
        if due_at is None:
            return None
        chosen = sa.select(runs).where(runs.c.dataset == dataset, runs.c.due_at == due_at)
        found = connection.execute(chosen).mappings().first()
        return None if found is None else _run({**found})

    @staticmethod
    def _active(connection: sa.Connection, dataset: str) -> Run | None:
        chosen = sa.select(runs).where(runs.c.dataset == dataset, runs.c.status.in_(ACTIVE))
        found = connection.execute(chosen).mappings().first()
        return None if found is None else _run({**found})


def _unknown(connection: sa.Connection, word: str) -> SettingsError:
    """The error for an unknown id of a run."""
    if connection.scalar(sa.select(datasets.c.id).where(datasets.c.name == word)):
        hint = f"List the runs of this dataset: counterfoil runs list {shlex.quote(word)}"
    else:
        newest = connection.scalars(sa.select(runs.c.id).order_by(runs.c.created_at.desc()).limit(_NEAR_RUNS))
        near = get_close_matches(word, list(newest), n=1)
        hint = (f"Did you mean {near[0]}? " if near else "") + "Run: counterfoil runs list"
    return SettingsError(f"run {without_secrets(word)!r} not found", hint=hint, code="run_not_found")


def _stored(changes: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(changes)
    counts = values.pop("counts", None)
    for name in ("warnings", "reason", "plan", "requests"):
        if name in values:
            values[name] = without_secrets(values[name])
    return values if counts is None else {**values, **asdict(counts)}


def _run(row: dict[str, Any]) -> Run:
    counts = Counts(**{name: row.pop(name) for name in Counts.__slots__})
    return Run(**{**row, "counts": counts, "warnings": tuple(row["warnings"])})
