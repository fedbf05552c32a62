"""Checks before reading whether a load may write to its table, and which rows it would overwrite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any

from counterfoil.destinations import Destination
from counterfoil.destinations.protocol import not_ours
from counterfoil.errors import INVALID_TABLE, DestinationRejected, SchemaConflict
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.stripe.client import AccountIdentity
from counterfoil.values import Method

#: Takes a question; returns whether to continue.
Confirm = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class OverwriteRisk:
    """Rows that a replace would remove, or a merge would treat as deleted; needs a confirmation."""

    table: str
    rows: int
    #: The number of loads that they came from.
    loads: int

    @property
    def description(self) -> str:
        return f"{self.rows:,} rows{f' of {self.loads} loads' if self.loads > 1 else ''}"


def check_table(
    destination: Destination,
    plan: Plan,
    table: str,
    method: Method,
    *,
    identity: AccountIdentity,
    overwrite: bool = False,
    confirm: Confirm | None,
) -> None:
    """Raises for a table of another program, report or mode or, unless the method is append, of another account.

    A replace that would remove rows of earlier loads needs a confirmation, and is rejected without `confirm`. Only a
    replace can overwrite; an append keeps the existing rows.
    """
    if overwrite and method == "replace":
        return
    held = overwrite_risk(destination, plan, table, method, identity=identity)
    if held is None:
        return
    if confirm is None:
        raise DestinationRejected(
            f"this pull would replace {held.description} of table {table}" + ("" if held.loads > 1 else " with fewer"),
            hint="Pass --overwrite to replace them, --method append to keep them, or another --table.",
            code=INVALID_TABLE,
        )
    if not confirm(f"Table {table} holds {held.description}. Replace them with this pull{narrowed_by(plan)}?"):
        raise DestinationRejected(f"the replacement was declined; table {table} is unchanged")


def overwrite_risk(
    destination: Destination, plan: Plan, table: str, method: Method, *, identity: AccountIdentity
) -> OverwriteRisk | None:
    """The rows that the load would remove from the table, None if there are none; raises if it may not write there."""
    if destination.columns(table) is None:
        return None
    scopes = destination.scopes(table)
    if scopes is None:
        error = not_ours(table, destination.name)
        error.hint = _hint("Choose another --table", method)
        raise error
    for before in scopes:
        _check_same(table, before, scope_of(plan, identity), method)
    rows = destination.rows(table)
    wider = any(narrower(plan, before) for before in scopes)
    if rows and ((method == "replace" and len(scopes) > 1) or (method in ("replace", "merge") and wider)):
        return OverwriteRisk(table, rows, len(scopes) if method == "replace" else 1)
    return None


def scope_of(plan: Plan, identity: AccountIdentity) -> dict[str, Any]:
    """The scope of a load's rows: report, account, test or live, and the restrictions."""
    source = {"report": plan.report.key, "account": identity.id, "livemode": identity.livemode}
    return {**plan.scope, **source}


def narrowed_by(plan: Plan) -> str:
    """The plan's restrictions, in parentheses after a space; empty if there are none."""
    scope = dict(plan.scope)
    chosen = scope.pop("options", {})
    words = [f"{name} {_day(scope[name])}" for name in ("since", "until") if name in scope]
    words += [f"the newest {scope['limit']:,}"] if "limit" in scope else []
    words += [f"{name} {value}" for name, value in chosen.items()]
    return f" ({', '.join(words)})" if words else ""


def _day(seconds: int) -> str:
    instant = datetime.fromtimestamp(seconds, UTC)
    return f"{instant:%Y-%m-%d}" if seconds % 86_400 == 0 else f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _hint(instead: str, method: Method) -> str:
    return f"{instead}, or pass --overwrite to replace it." if method == "replace" else f"{instead}."


def _check_same(table: str, before: Mapping[str, Any], now: Mapping[str, Any], method: Method) -> None:
    if before.get("report", now["report"]) != now["report"]:
        raise SchemaConflict(
            f"table {table} holds the report {before['report']}, not {now['report']}",
            hint=_hint("Choose another --table", method),
            code=INVALID_TABLE,
        )
    if before.get("livemode", now["livemode"]) != now["livemode"]:
        modes = {True: "live", False: "test"}
        raise DestinationRejected(
            f"table {table} holds {modes[before['livemode']]} data, but the key is a {modes[now['livemode']]} key",
            hint=_hint("Choose another --table or file", method),
            code=INVALID_TABLE,
        )
    # A replace would remove rows of another account; a merge or a partition would treat them as deleted.
    if method != "append" and _another(before.get("account"), now["account"]):
        raise DestinationRejected(
            f"table {table} holds rows of the account {before['account']}, but the key belongs to {now['account']}",
            hint="Pass another --table, --method append to keep both, or --overwrite to replace them.",
            code=INVALID_TABLE,
        )


def _another(before: str | None, now: str) -> bool:
    # A key that can't read its account is identified by itself, so a new key of the account looks like another account.
    return before is not None and before != now and not before.startswith("key_") and not now.startswith("key_")


def narrower(plan: Plan, before: Mapping[str, Any]) -> bool:
    """Whether a table that was loaded with the scope `before` can hold rows that the plan omits."""
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
