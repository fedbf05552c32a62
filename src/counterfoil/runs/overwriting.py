"""What a load may put in the place of: refuses before anything is read what the load would refuse after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from counterfoil.destinations import Destination
from counterfoil.destinations.destination import not_ours
from counterfoil.errors import DestinationRejected, SchemaConflict, SettingsError
from counterfoil.runs.plan import Plan
from counterfoil.values import Method

#: Takes a question, answers whether to go on.
Confirm = Callable[[str], bool]


def check_table(
    destination: Destination, plan: Plan, table: str, method: Method, *, account: str, confirm: Confirm | None
) -> None:
    """Refuses a table that is not ours, holds another report or, for a replace, another account.

    A replace that would leave out rows which the table was loaded with is asked about, and refused when there is
    nobody to ask.
    """
    if destination.columns(table) is None:
        return
    before = destination.last_scope(table)
    if before is None:
        raise not_ours(table, destination.name)
    if before.get("report", plan.report.key) != plan.report.key:
        raise SchemaConflict(
            f"Table {table} holds the report {before['report']}, not {plan.report.key}",
            hint="Choose another --table, or add --overwrite to replace it.",
        )
    if method != "replace":
        return
    if _another(before.get("account"), account):
        raise DestinationRejected(
            f"Table {table} holds rows of the account {before['account']}; the key is of {account}",
            hint="Choose another --table, --method append to keep both, or --overwrite to replace them.",
        )
    rows = destination.rows(table)
    if rows and narrower(plan, before):
        _ask(plan, table, rows, confirm)


def _another(before: str | None, now: str) -> bool:
    # A key that may not read its account is known by itself, and a new key of the same account looks like another one.
    return before is not None and before != now and not before.startswith("key_") and not now.startswith("key_")


def _ask(plan: Plan, table: str, rows: int, confirm: Confirm | None) -> None:
    told = ", ".join(f"{name} {value}" for name, value in sorted(plan.scope.items()))
    question = (
        f"Table {table} holds {rows:,} rows that were loaded with a wider choice. "
        f"Replace them by a narrower one{f' ({told})' if told else ''}?"
    )
    if confirm is None or not confirm(question):
        raise SettingsError(
            f"Table {table} holds {rows:,} rows of a wider choice than this one",
            hint="Add --overwrite to replace them, or choose another --table.",
        )


def narrower(plan: Plan, before: Mapping[str, Any]) -> bool:
    """Whether a table that was loaded with the scope `before` can hold rows that the plan leaves out."""
    now = plan.scope
    if (
        now.get("since", -inf) > before.get("since", -inf)
        or now.get("until", inf) < before.get("until", inf)
        or now.get("limit", inf) < before.get("limit", inf)
    ):
        return True
    chosen_before: Mapping[str, str] = before.get("options") or {}
    return any(
        plan.options.get(option.name, option.default)
        not in (chosen_before.get(option.name, option.default), option.widest)
        for option in plan.report.options
    )
