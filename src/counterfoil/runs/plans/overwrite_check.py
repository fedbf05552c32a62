"""What a load may put in the place of: refuses before anything is read what the load would refuse after it."""

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

#: Takes a question, answers whether to go on.
Confirm = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class OverwriteRisk:
    """Rows that a replace would leave out, and a merge take for deleted: a person is asked before that."""

    table: str
    rows: int
    #: Loads that they came with.
    loads: int

    @property
    def told(self) -> str:
        return f"{self.rows:,} rows of {f'{self.loads} loads' if self.loads > 1 else 'a wider choice'}"


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
    """Refuses a table that is not ours, holds another report, the other mode or, for a replace, another account.

    A replace that would leave out rows which the table was loaded with is asked about, and refused when there is
    nobody to ask. Only a replace can overwrite: rows that are appended stay beside those that are there.
    """
    if overwrite and method == "replace":
        return
    held = overwrite_risk(destination, plan, table, method, identity=identity)
    if held is None:
        return
    if confirm is None:
        raise DestinationRejected(
            f"Table {table} holds {held.told}" + ("" if held.loads > 1 else " than this one"),
            hint="Add --overwrite to replace them, --method append to keep them, or choose another --table.",
            code=INVALID_TABLE,
        )
    if not confirm(f"Table {table} holds {held.told}. Replace them by this one{narrowed_by(plan)}?"):
        raise DestinationRejected(f"Table {table} was left as it was")


def overwrite_risk(
    destination: Destination, plan: Plan, table: str, method: Method, *, identity: AccountIdentity
) -> OverwriteRisk | None:
    """What the load would leave out of the table, None for nothing; raises for a table that it may not touch."""
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
    """What a load's rows are: of which report and account, test or live, and what narrows them."""
    told = {"report": plan.report.key, "account": identity.id, "livemode": identity.livemode}
    return {**plan.scope, **told}


def narrowed_by(plan: Plan) -> str:
    """What narrows the plan, in brackets behind a space; empty when nothing does."""
    told = dict(plan.scope)
    chosen = told.pop("options", {})
    words = [f"{name} {_day(told[name])}" for name in ("since", "until") if name in told]
    words += [f"the newest {told['limit']:,}"] if "limit" in told else []
    words += [f"{name} {value}" for name, value in chosen.items()]
    return f" ({', '.join(words)})" if words else ""


def _day(seconds: int) -> str:
    instant = datetime.fromtimestamp(seconds, UTC)
    return f"{instant:%Y-%m-%d}" if seconds % 86_400 == 0 else f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _hint(instead: str, method: Method) -> str:
    return f"{instead}, or add --overwrite to replace it." if method == "replace" else f"{instead}."


def _check_same(table: str, before: Mapping[str, Any], now: Mapping[str, Any], method: Method) -> None:
    if before.get("report", now["report"]) != now["report"]:
        raise SchemaConflict(
            f"Table {table} holds the report {before['report']}, not {now['report']}",
            hint=_hint("Choose another --table", method),
            code=INVALID_TABLE,
        )
    if before.get("livemode", now["livemode"]) != now["livemode"]:
        modes = {True: "live", False: "test"}
        raise DestinationRejected(
            f"Table {table} holds {modes[before['livemode']]} data; the key is a {modes[now['livemode']]} key",
            hint=_hint("Choose another --table or file", method),
            code=INVALID_TABLE,
        )
    # Rows of another account would go with a replace, and be taken for deleted ones by a merge or a partition.
    if method != "append" and _another(before.get("account"), now["account"]):
        raise DestinationRejected(
            f"Table {table} holds rows of the account {before['account']}; the key is of {now['account']}",
            hint="Choose another --table, --method append to keep both, or --overwrite to replace them.",
            code=INVALID_TABLE,
        )


def _another(before: str | None, now: str) -> bool:
    # A key that may not read its account is known by itself, and a new key of the same account looks like another one.
    return before is not None and before != now and not before.startswith("key_") and not now.startswith("key_")


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
