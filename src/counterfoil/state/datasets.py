"""Datasets: their definitions, the owners of tables, and due times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from counterfoil.destinations.kinds import target_key
from counterfoil.errors import INVALID_TABLE, RunError, SettingsError
from counterfoil.logging import redacted
from counterfoil.reports.catalogue import report as report_of
from counterfoil.schedules import next_after
from counterfoil.state import names
from counterfoil.state.database import State
from counterfoil.state.dataset import (
    DEFAULTS,
    Choice,
    Dataset,
    Merge,
    Partition,
    Pause,
    PauseCode,
    Proof,
    Retry,
    Target,
    restored,
    stored,
)
from counterfoil.state.dataset_rules import check_dataset
from counterfoil.state.tables import ACTIVE, accounts, datasets, runs, targets
from counterfoil.values import Method

__all__ = ["Choice", "Dataset", "Datasets", "Merge", "Partition", "Pause", "Proof", "Retry", "Target"]

#: The fields that `edit` can change. Another report requires another dataset, because its table has other columns.
_EDITABLE = frozenset({"name", "account", "method", "targets", *DEFAULTS})


class Datasets:
    """The saved datasets. An invalid one is rejected before it is stored."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(
        self,
        name: str,
        *,
        account: str,
        report: str,
        targets: Sequence[Target],
        method: Method | None = None,
        **options: Any,
    ) -> Dataset:
        """Saves a dataset. `account` and `after` are names or ids; the default method is that of the report.

        `options` are the fields of `Dataset` that have a default.
        """
        if unknown := options.keys() - DEFAULTS.keys():
            raise TypeError(f"a dataset has no field {min(unknown)!r}")
        known = report_of(report)
        values: dict[str, Any] = {
            **DEFAULTS,
            **{field: value for field, value in options.items() if value is not None},
            "name": names.checked_name("dataset", name),
            "account": account,
            "report": known.key,
            "method": method or known.default_method,
            "targets": tuple(targets),
        }
        values["description"] = values["description"].strip()
        if values["method"] == "merge":
            values["merge"] = values["merge"] or Merge()
        self._check(values)
        dataset, now = names.new_id("dataset"), self._state.now()
        with self._state.begin() as connection:
            self._resolve(connection, values, dataset)
            connection.execute(
                datasets.insert().values(
                    id=dataset,
                    failures=0,
                    next_due_at=next_after(values["schedule"], now),
                    created_at=now,
                    updated_at=now,
                    **stored(values),
                )
            )
            self._own(connection, dataset, values)
            return self._one(connection, dataset)

    def edit(self, name_or_id: str, **changes: Any) -> Dataset:
        """Changes all of the given fields or none; a new schedule counts from now."""
        for name in changes:
            if name not in _EDITABLE:
                raise SettingsError(
                    f"the {name} of a dataset can't be changed", hint="Create another dataset, then remove this one."
                )
        if "name" in changes:
            changes["name"] = names.checked_name("dataset", changes["name"])
        if "targets" in changes:
            changes["targets"] = tuple(changes["targets"])
        with self._state.begin() as connection:
            dataset = self._one(connection, name_or_id)
            if "method" in changes and changes["method"] != "partition":
                changes.setdefault("partition", None)
            if "method" in changes:
                changes.setdefault("merge", (dataset.merge or Merge()) if changes["method"] == "merge" else None)
            values = {name: getattr(dataset, name) for name in (*_EDITABLE, "report")} | changes
            self._check(values)
            self._resolve(connection, values, dataset.id)
            now = self._state.now()
            made = stored({name: values[name] for name in changes}) | {"updated_at": now}
            if "schedule" in changes and dataset.pause is None:
                made["next_due_at"] = next_after(values["schedule"], now)
            self._change(connection, dataset.id, **made)
            if "targets" in changes:
                connection.execute(targets.delete().where(targets.c.dataset == dataset.id))
                self._own(connection, dataset.id, values)
            return self._one(connection, dataset.id)

    def get(self, name_or_id: str) -> Dataset:
        """The dataset with a name or an id; SettingsError suggests the nearest name."""
        with self._state.read() as connection:
            return self._one(connection, name_or_id)

    def list(self) -> tuple[Dataset, ...]:
        """All datasets by name."""
        with self._state.read() as connection:
            return _datasets(connection, sa.select(datasets).order_by(datasets.c.name))

    def followers(self, name_or_id: str) -> tuple[Dataset, ...]:
        """The datasets that run after this one, paused or not."""
        with self._state.read() as connection:
            dataset = self._one(connection, name_or_id)
            return _datasets(connection, sa.select(datasets).where(datasets.c.after == dataset.id))

    def owner_of(self, target: Target) -> Dataset | None:
        """The dataset that owns the table, however the URL is spelled."""
        with self._state.read() as connection:
            owner = connection.scalar(sa.select(targets.c.dataset).where(targets.c.place == self._place(target)))
            return None if owner is None else self._one(connection, owner)

    def pause(self, name_or_id: str, reason: str, action: str | None = None, *, code: PauseCode = "manual") -> Dataset:
        """Pauses scheduled runs, with a reason and the next step; an earlier pause stays.

        However, a manual pause replaces one that would end automatically.
        """
        with self._state.begin() as connection:
            dataset = self._one(connection, name_or_id)
            if dataset.pause is None or (code == "manual" and dataset.pause.code == "key_rejected"):
                action = action or f"counterfoil datasets resume {dataset.id}"
                self._pause(connection, dataset.id, reason, action, code)
            return self._one(connection, dataset.id)

    def pause_account(self, account: str, reason: str, action: str) -> tuple[Dataset, ...]:
        """Pauses the active datasets of an account (by id), because its key was rejected; returns them."""
        with self._state.begin() as connection:
            running = sa.select(datasets.c.id).where(datasets.c.account == account, datasets.c.pause.is_(sa.null()))
            stopped = connection.scalars(running.order_by(datasets.c.name)).all()
            for dataset in stopped:
                self._pause(connection, dataset, reason, action, "key_rejected")
            return tuple(self._one(connection, dataset) for dataset in stopped)

    def resume_account(self, account: str) -> tuple[Dataset, ...]:
        """Resumes the datasets of an account (by id) that `pause_account` paused; returns them."""
        paused = sa.select(datasets).where(datasets.c.account == account, datasets.c.pause.is_not(sa.null()))
        with self._state.begin() as connection:
            return tuple(
                self.resume(one.id)
                for one in _datasets(connection, paused.order_by(datasets.c.name))
                if one.pause is not None and one.pause.code == "key_rejected"
            )

    def resume(self, name_or_id: str) -> Dataset:
        """Resumes scheduled runs from the next due time on; resets the number of failures."""
        with self._state.begin() as connection:
            dataset = self._one(connection, name_or_id)
            due = next_after(dataset.schedule, self._state.now())
            self._change(connection, dataset.id, pause=None, failures=0, next_due_at=due)
            return self._one(connection, dataset.id)

    def set_bookmark(self, name_or_id: str, bookmark: Mapping[str, Any] | None) -> Dataset:
        """Sets the bookmark that the next run continues from; None for a full refresh."""
        with self._state.begin() as connection:
            dataset = self._one(connection, name_or_id)
            self._change(connection, dataset.id, bookmark=bookmark and dict(bookmark))
            return self._one(connection, dataset.id)

    def remove(self, *names_or_ids: str) -> None:
        """Deletes datasets with their runs; their tables stay. RunError while one of them has an active run.

        SettingsError while another dataset runs after one of them.
        """
        with self._state.begin() as connection:
            gone = {dataset.id: dataset.name for dataset in (self._one(connection, word) for word in names_or_ids)}
            self._check_idle(connection, gone)
            outside = datasets.c.after.in_(gone) & datasets.c.id.not_in(gone)
            follower = connection.execute(sa.select(datasets.c.name, datasets.c.after).where(outside)).first()
            if follower:
                raise SettingsError(
                    f"the dataset {follower.name!r} runs after {gone[follower.after]!r}",
                    hint="Give it a schedule or let it run after another dataset, then remove this one.",
                )
            connection.execute(datasets.update().where(datasets.c.id.in_(gone)).values(after=None))
            connection.execute(datasets.delete().where(datasets.c.id.in_(gone)))

    def claim_due(self, now: datetime, limit: int = 100) -> tuple[tuple[Dataset, datetime], ...]:
        """Claims the datasets that are due, longest due first, each with its due time.

        In the same transaction, each gets its next due time strictly after `now`: missed times are skipped, and no
        other process gets the same due time. Inside `State.begin`, runs can be created in that transaction too.
        """
        due = (
            sa.select(datasets)
            .where(datasets.c.next_due_at <= now, datasets.c.pause.is_(sa.null()))
            .order_by(datasets.c.next_due_at, datasets.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._state.begin() as connection:
            claimed = []
            for dataset in _datasets(connection, due):
                try:
                    following = next_after(dataset.schedule, now)
                except SettingsError as error:
                    # Its time zone may be missing on this machine. The others must not wait for it.
                    self._pause(
                        connection, dataset.id, error.message, error.hint or "Set another schedule.", "schedule"
                    )
                    continue
                self._change(connection, dataset.id, next_due_at=following)
                claimed.append((replace(dataset, next_due_at=following), dataset.next_due_at or now))
        return tuple(claimed)

    def next_due_at(self) -> datetime | None:
        """The earliest due time of the datasets that are not paused; None if none has a schedule."""
        chosen = sa.select(sa.func.min(datasets.c.next_due_at)).where(datasets.c.pause.is_(sa.null()))
        with self._state.read() as connection:
            found: datetime | None = connection.scalar(chosen)
            return found

    def _check(self, values: Mapping[str, Any]) -> None:
        check_dataset(values, least_minutes=self._state.settings.least_minutes)

    def _resolve(self, connection: sa.Connection, values: dict[str, Any], dataset: str) -> None:
        """Replaces names with ids, and makes the checks that need other rows."""
        values["account"] = _account(connection, values["account"])
        other = sa.select(datasets.c.id).where(datasets.c.name == values["name"], datasets.c.id != dataset)
        if connection.scalar(other):
            raise names.taken("dataset", values["name"])
        if values["after"] is not None:
            before = self._one(connection, values["after"])
            values["after"] = before.id
            _check_order(connection, before, dataset)

    def _own(self, connection: sa.Connection, dataset: str, values: Mapping[str, Any]) -> None:
        for position, target in enumerate(values["targets"]):
            spelled = self._place(target)
            owner = connection.scalar(
                sa.select(datasets.c.name)
                .join(targets, targets.c.dataset == datasets.c.id)
                .where(targets.c.place == spelled)
            )
            if owner is not None:
                problem = "is listed twice" if owner == values["name"] else f"belongs to the dataset {owner!r}"
                raise SettingsError(
                    f"the table {target.table} of {redacted(target.url)} {problem}",
                    hint="Choose another table; two datasets in one table would overwrite each other.",
                    code=INVALID_TABLE,
                )
            connection.execute(
                targets.insert().values(
                    dataset=dataset, position=position, url=target.url, table=target.table, place=spelled
                )
            )

    def _place(self, target: Target) -> str:
        return target_key(target.url, target.table, home=self._state.settings.home)

    def _pause(self, connection: sa.Connection, dataset: str, reason: str, action: str, code: PauseCode) -> None:
        pause = Pause(reason=redacted(reason), action=action, at=self._state.now(), code=code)
        self._change(connection, dataset, next_due_at=None, **stored({"pause": pause}))

    @staticmethod
    def _change(connection: sa.Connection, dataset: str, **values: Any) -> None:
        connection.execute(datasets.update().where(datasets.c.id == dataset).values(**values))

    @staticmethod
    def _check_idle(connection: sa.Connection, gone: Mapping[str, str]) -> None:
        active = connection.execute(
            sa.select(runs.c.id, runs.c.dataset).where(runs.c.dataset.in_(gone), runs.c.status.in_(ACTIVE))
        ).first()
        if active:
            raise RunError(
                f"the dataset {gone[active.dataset]!r} has an active run: {active.id}",
                hint=f"Wait for it, or: counterfoil runs cancel {active.id}",
            )

    def _one(self, connection: sa.Connection, word: str) -> Dataset:
        column = datasets.c.id if names.is_id("dataset", word) else datasets.c.name
        found = _datasets(connection, sa.select(datasets).where(column == word.strip()))
        if not found:
            known = connection.scalars(sa.select(datasets.c.name)).all()
            self._check_not_lost(known)
            raise names.unknown("dataset", word, known)
        return found[0]

    def _check_not_lost(self, known: Sequence[str]) -> None:
        """SettingsError if there are archives of runs but no dataset: the state was deleted or is elsewhere."""
        archive = self._state.settings.archive
        count = 0 if known else sum(1 for one in archive.glob("[0-9]*T*Z-*") if one.is_dir())
        if count:
            raise SettingsError(
                f"the state {self._state.name} has no datasets, but {archive} holds archives of {count} runs",
                hint="Restore the state from a backup if it was deleted, or correct COUNTERFOIL_HOME or "
                "COUNTERFOIL_STATE_URL.",
            )


def _datasets(connection: sa.Connection, select: sa.Select[Any]) -> tuple[Dataset, ...]:
    rows = connection.execute(select).mappings().all()
    of: dict[str, list[Target]] = {row["id"]: [] for row in rows}
    chosen = sa.select(targets).order_by(targets.c.dataset, targets.c.position)
    # For one dataset, selects by its id; for many, selecting from all targets is cheaper than listing the ids.
    if len(rows) == 1:
        chosen = chosen.where(targets.c.dataset == rows[0]["id"])
    for row in connection.execute(chosen) if rows else ():
        if row.dataset in of:
            of[row.dataset].append(Target(url=row.url, table=row.table))
    return tuple(restored({**row}, tuple(of[row["id"]])) for row in rows)


def _account(connection: sa.Connection, word: str) -> str:
    column = accounts.c.id if names.is_id("account", word) else accounts.c.name
    found: str | None = connection.scalar(sa.select(accounts.c.id).where(column == word.strip()))
    if found is None:
        raise names.unknown("account", word, connection.scalars(sa.select(accounts.c.name)))
    return found


def _check_order(connection: sa.Connection, before: Dataset, dataset: str) -> None:
    """SettingsError if the dataset would run after itself, directly or through others, which would never end."""
    step: str | None = before.id
    while step is not None:
        if step == dataset:
            raise SettingsError(
                f"the dataset would run after itself: {before.name!r} already runs after it, or is the same dataset",
                hint="Let it run after another dataset, or give it a schedule.",
                code="circular_order",
            )
        step = connection.scalar(sa.select(datasets.c.after).where(datasets.c.id == step))
