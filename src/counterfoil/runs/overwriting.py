"""What a load may put in the place of: refuses before anything is read what the load would refuse after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from counterfoil.destinations import Destination
from counterfoil.destinations.destination import not_ours
from counterfoil.errors import DestinationRejected, SchemaConflict
from counterfoil.runs.plan import Plan
from counterfoil.stripe.client import AccountIdentity
from counterfoil.values import Method

#: Takes a question, answers whether to go on.
Confirm = Callable[[str], bool]


def check_table(
    destination: Destination,
    plan: Plan,
    table: str,
    method: Method,
    *,
    identity: AccountIdentity,
    confirm: Confirm | None,
) -> None:
    """Refuses a table that is not ours, holds another report, the other mode or, for a replace, another account.

    A replace that would leave out rows which the table was loaded with is asked about, and refused when there is
    nobody to ask.
    """
    if destination.columns(table) is None:
        return
    scopes = destination.scopes(table)
    if scopes is None:
        raise not_ours(table, destination.name)
    for before in scopes:
        _check_same(table, before, scope_of(plan, identity), method)
    rows = destination.rows(table)
    if method == "replace" and rows and (len(scopes) > 1 or any(narrower(plan, before) for before in scopes)):
        _ask(plan, table, rows, len(scopes), confirm)


def scope_of(plan: Plan, identity: AccountIdentity) -> dict[str, Any]:
    """What a load's rows are: of which report and account, test or live, and what narrows them."""
    told = {"report": plan.report.key, "account": identity.id, "livemode": identity.livemode}
    return {**plan.scope, **told}


def _check_same(table: str, before: Mapping[str, Any], now: Mapping[str, Any], method: Method) -> None:
    if before.get("report", now["report"]) != now["report"]:
        raise SchemaConflict(
            f"Table {table} holds the report {before['report']}, not {now['report']}",
            hint="Choose another --table, or add --overwrite to replace it.",
        )
    if before.get("livemode", now["livemode"]) != now["livemode"]:
        modes = {True: "live", False: "test"}
        raise DestinationRejected(
            f"Table {table} holds {modes[before['livemode']]} data; the key is a {modes[now['livemode']]} key",
            hint="Choose another --table or file, or add --overwrite to replace it.",
        )
    if method == "replace" and _another(before.get("account"), now["account"]):
        raise DestinationRejected(
            f"Table {table} holds rows of the account {before['account']}; the key is of {now['account']}",
            hint="Choose another --table, --method append to keep both, or --overwrite to replace them.",
        )


def _another(before: str | None, now: str) -> bool:
    # A key that may not read its account is known by itself, and a new key of the same account looks like another one.
    return before is not None and before != now and not before.startswith("key_") and not now.startswith("key_")


def _ask(plan: Plan, table: str, rows: int, loads: int, confirm: Confirm | None) -> None:
    told = ", ".join(f"{name} {value}" for name, value in sorted(plan.scope.items()))
    held = f"{rows:,} rows of {loads} loads" if loads > 1 else f"{rows:,} rows of a wider choice"
    if confirm is not None and confirm(
        f"Table {table} holds {held}. Replace them by this one{f' ({told})' if told else ''}?"
    ):
        return
    raise DestinationRejected(
        f"Table {table} holds {held} than this one" if loads == 1 else f"Table {table} holds {held}",
        hint="Add --overwrite to replace them, --method append to keep them, or choose another --table.",
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
