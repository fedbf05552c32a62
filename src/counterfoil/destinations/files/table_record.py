"""The record of a table of files: its columns, and the loads in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from counterfoil.destinations.protocol import since_replace
from counterfoil.values import Load, Loaded


@dataclass(slots=True)
class Record:
    """The record of a version: columns with DuckDB types, rows, comments, and loads, oldest first."""

    columns: list[tuple[str, str]]
    rows: int
    comment: str = ""
    comments: dict[str, str] = field(default_factory=dict)
    loads: list[dict[str, Any]] = field(default_factory=list)

    def scopes(self) -> tuple[Mapping[str, Any], ...] | None:
        """The scopes of the loads whose rows are in the table, newest first; None if there was no load."""
        return since_replace((load["method"], load["scope"]) for load in reversed(self.loads)) if self.loads else None


def loaded(record: Record | None, run: str) -> Loaded | None:
    """The result of the run's load; None if it was not loaded."""
    found = next((load for load in record.loads if load["run"] == run), None) if record else None
    if found is None:
        return None
    counts = {name: found[name] for name in ("added", "changed", "deleted") if name in found}
    return Loaded(**{"rows": found["rows"], "added": found["rows"]} | counts)


def next_record(
    before: Record | None, load: Load, columns: list[tuple[str, str]], rows: int, done: Loaded, method: str
) -> Record:
    """The record after a load, which is recorded with `method`."""
    earlier = [] if before is None or method == "replace" else before.loads
    return Record(columns, rows, load.comment, dict(load.comments), [*earlier, entry_of(load, method, done)])


def entry_of(load: Load, method: str, done: Loaded) -> dict[str, Any]:
    """The entry of one load in a record."""
    return {
        "run": load.run,
        "method": method,
        "report": load.report,
        "account": load.account,
        "scope": dict(load.scope),
        **asdict(done),
        "loaded_at": datetime.now(UTC).isoformat(),
    }
