"""The stored checks of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from counterfoil.state.check import FAMILIES, MOST_DIFFERENCES, Check, Family, StoredCheck
from counterfoil.state.database import State
from counterfoil.state.run import without_secrets
from counterfoil.state.tables import checks, runs

__all__ = ["Checks"]


class Checks:
    """All checks, including earlier ones of the same run; queries return the latest of each."""

    def __init__(self, state: State) -> None:
        self._state = state

    def keep(self, run: str, url: str, table: str, made: Sequence[Check]) -> datetime:
        """Stores checks that were made together; returns the time."""
        now = self._state.now()
        rows = [{"run": run, "url": url, "table": table, "made_at": now, **_stored(check)} for check in made]
        if rows:
            with self._state.begin() as connection:
                connection.execute(checks.insert(), rows)
        return now

    def of_run(self, run: str) -> tuple[StoredCheck, ...]:
        """The latest of each of the run's checks, by table and family."""
        chosen = sa.select(checks).where(checks.c.run == run)
        with self._state.read() as connection:
            return _latest({**row} for row in connection.execute(chosen.order_by(checks.c.number)).mappings())

    def earlier(self, dataset: str, family: Family, name: str, *, limit: int = 1000) -> tuple[StoredCheck, ...]:
        """A dataset's checks with one name, of all of its runs, latest first."""
        chosen = (
            sa.select(checks)
            .join(runs, runs.c.id == checks.c.run)
            .where(runs.c.dataset == dataset, checks.c.family == family, checks.c.name == name)
            .order_by(checks.c.number.desc())
            .limit(limit)
        )
        with self._state.read() as connection:
            return tuple(_kept({**row}) for row in connection.execute(chosen).mappings())

    def last_made_at(self, dataset: str, family: Family) -> datetime | None:
        """The time of the latest check of the family for a dataset (by id)."""
        chosen = (
            sa.select(sa.func.max(checks.c.made_at))
            .join(runs, runs.c.id == checks.c.run)
            .where(runs.c.dataset == dataset, checks.c.family == family)
        )
        with self._state.read() as connection:
            found: datetime | None = connection.scalar(chosen)
            return found


def _stored(check: Check) -> dict[str, Any]:
    return {
        "family": check.family,
        "name": check.name,
        "result": check.result,
        "reason": without_secrets(check.reason),
        "figures": without_secrets(check.figures),
        "differences": {"count": check.different, "shown": without_secrets(check.differences[:MOST_DIFFERENCES])},
    }


def _kept(row: Mapping[str, Any]) -> StoredCheck:
    same = ("family", "name", "result", "reason", "figures", "run", "url", "table", "made_at")
    found = row["differences"]
    return StoredCheck(
        **{name: row[name] for name in same}, differences=tuple(found["shown"]), different=found["count"]
    )


def _latest(rows: Iterable[Mapping[str, Any]]) -> tuple[StoredCheck, ...]:
    found: dict[tuple[str, str, str, str], StoredCheck] = {}
    for check in map(_kept, rows):
        key = (check.url, check.table, check.family, check.name)
        found.pop(key, None)
        found[key] = check
    return tuple(sorted(found.values(), key=lambda one: (one.url, one.table, FAMILIES.index(one.family))))
