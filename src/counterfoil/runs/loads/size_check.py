"""Stops a full refresh with unchanged options that would remove more than half of a table."""

from __future__ import annotations

from counterfoil.destinations import Destination
from counterfoil.destinations.sql.text import quoted
from counterfoil.errors import RunError
from counterfoil.reports.report import Preview, Singleton
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.values import Method

#: The code of the error.
TABLE_WOULD_SHRINK = "table_would_shrink"
#: Smaller tables are not checked.
MIN_ROWS = 100
#: The fields of a scope that restrict a load: with another value, fewer rows are expected.
_OPTIONS = ("since", "until", "limit", "options")


def check_size(destination: Destination, table: str, plan: Plan, method: Method, *, rows: int, hint: str) -> str | None:
    """Raises RunError if the load would remove more than half of the table; returns a note if that is unknown.

    `rows` is the number of rows that the table would have.
    """
    if not is_comparable(plan, method) or not _has_same_options(destination, table, plan, method):
        return None
    if "query" not in destination.kind.guarantees and method == "merge":
        return f"the number of rows of {table} was not compared: {destination.name} does not report deleted rows"
    before = _live_rows(destination, table)
    if before >= MIN_ROWS and rows * 2 < before:
        raise RunError(
            f"the load would shrink {table} of {destination.name} from {before:,} to {rows:,} rows",
            hint=hint,
            code=TABLE_WOULD_SHRINK,
        )
    return None


def is_comparable(plan: Plan, method: Method) -> bool:
    """False for reports of a current state and for filtered reports: their rows disappear as a matter of course."""
    return (
        method in ("replace", "merge") and not isinstance(plan.report.source, Singleton | Preview) and not plan.narrowed
    )


def _has_same_options(destination: Destination, table: str, plan: Plan, method: Method) -> bool:
    scopes = destination.scopes(table) if destination.columns(table) is not None else None
    # A replace of several snapshots was confirmed separately.
    if not scopes or (method == "replace" and len(scopes) > 1):
        return False
    now = plan.scope
    return all(scope.get(name) == now.get(name) for scope in scopes for name in _OPTIONS)


def _live_rows(destination: Destination, table: str) -> int:
    """Rows that are not marked as deleted."""
    if "merge" not in destination.kind.methods or "query" not in destination.kind.guarantees:
        return destination.rows(table) or 0
    with destination.query(f'SELECT count(*) AS rows FROM {quoted(table)} WHERE "_deleted" IS NOT TRUE') as reader:  # noqa: S608 - quoted
        found: int = reader.read_all()["rows"][0].as_py()
    return found
