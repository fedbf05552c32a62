"""`expand`: replaces ids with objects and adds fields that are omitted by default (docs.stripe.com/expand)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.lists import Lister, query
from stripe_sandbox.objects import catalogue
from stripe_sandbox.objects.json import Json, nested
from stripe_sandbox.store import Store
from stripe_sandbox.wire.errors import bad_parameter

#: Prefixes of the ids of objects that the sandbox does not serve; these ids are not expanded.
_ELSEWHERE = ("pi_", "pm_", "py_", "ba_", "ca_", "tu_", "ipi_", "mandate_")


def expanded(store: Store, one: Any, path: Sequence[str], whole: str | None = None) -> Any:
    """A copy of a value with the property at `path` expanded; shared parts are not modified."""
    whole = whole or ".".join(path)
    if isinstance(one, list):
        return [expanded(store, entry, path, whole) for entry in one]
    if isinstance(one, str):
        found = store.find(one)
        if found is None and not one.startswith(_ELSEWHERE):
            raise _refused(whole)
        return one if found is None else expanded(store, found, path, whole)
    if one is None or (isinstance(one, dict) and not path):
        return one
    if not isinstance(one, dict):
        raise _refused(whole)
    head, rest = path[0], path[1:]
    if head in one:
        return {**one, head: expanded(store, one[head], rest, whole)}
    if (make := _ON_REQUEST.get((str(one.get("object")), head))) is not None:
        made = make(store, one)
        if made is None:
            return one
        return {**one, head: expanded(store, made, rest, whole) if rest else made}
    if one.get("deleted") or head in _SOMETIMES:
        return one
    raise _refused(whole)


#: Fields that only some objects of their kind have.
_SOMETIMES = frozenset({"failure_balance_transaction", "transfer"})


def _refused(path: str) -> Exception:
    return bad_parameter(f"This property cannot be expanded ({path}).", "expand")


def _index(store: Store, family: str, one: Json) -> int | None:
    return BY_NAME[family].index(store.world, one["id"])


def _price_tiers(store: Store, one: Json) -> list[Json]:
    n = _index(store, "price", one)
    return catalogue.tiers(store.world, n) if n is not None else []


def _price_options(store: Store, one: Json) -> Json:
    n = _index(store, "price", one)
    return catalogue.currency_options(store.world, n) if n is not None else {}


def _applies_to(store: Store, one: Json) -> Json | None:
    n = _index(store, "coupon", one)
    return catalogue.applies_to(store.world, n) if n is not None else None


def _coupon_options(store: Store, one: Json) -> Json:
    n = _index(store, "coupon", one)
    return catalogue.coupon_currency_options(store.world, n) if n is not None else {}


def _refunds(store: Store, one: Json) -> Json:
    return nested(f"/v1/charges/{one['id']}/refunds", store.refunds_of(one))


def _payments(store: Store, one: Json) -> Json:
    return nested(f"/v1/invoice_payments?invoice={one['id']}", store.payments_of(one))


def subscriptions_of(store: Store, customer: Json) -> list[Json]:
    """A customer's subscriptions that are not canceled, newest first."""
    kind = BY_NAME["subscription"]
    return Lister(store).page(kind, query(kind, {"customer": customer["id"], "limit": "100"}))[0]


def _subscriptions(store: Store, one: Json) -> Json:
    return nested(f"/v1/customers/{one['id']}/subscriptions", subscriptions_of(store, one))


def _nothing(name: str) -> Callable[[Store, Json], Json]:
    return lambda _, one: nested(f"/v1/customers/{one['id']}/{name}", [])


_ON_REQUEST: dict[tuple[str, str], Callable[[Store, Json], Any]] = {
    ("charge", "refunds"): _refunds,
    ("coupon", "applies_to"): _applies_to,
    ("coupon", "currency_options"): _coupon_options,
    ("customer", "sources"): _nothing("sources"),
    ("customer", "subscriptions"): _subscriptions,
    ("customer", "tax"): lambda *_: {
        "automatic_tax": "not_collecting",
        "ip_address": None,
        "location": None,
        "provider": "stripe",
    },
    ("customer", "tax_ids"): _nothing("tax_ids"),
    ("invoice", "payments"): _payments,
    ("plan", "tiers"): _price_tiers,
    ("price", "currency_options"): _price_options,
    ("price", "tiers"): _price_tiers,
}
