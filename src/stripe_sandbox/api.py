"""Stripe's API on top of the store: maps a request to a response. Contains no network code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stripe_sandbox.company import ledger
from stripe_sandbox.kinds import BY_NAME, BY_PATH, Kind
from stripe_sandbox.lists import Lister, query, slice_of
from stripe_sandbox.objects import balance
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store
from stripe_sandbox.wire import expand, keys, recipients, versions
from stripe_sandbox.wire.errors import StripeError, bad_parameter, masked, missing_object, unknown_route
from stripe_sandbox.wire.keys import Keys
from stripe_sandbox.wire.parameters import LISTING, expand_of, parsed, refuse_unknown
from stripe_sandbox.wire.preview import KNOWN as PREVIEW_KNOWN
from stripe_sandbox.wire.preview import preview


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """`endpoint` names the route in limits and counts; `answer` receives the parts of the path and the parameters."""

    endpoint: str
    permission: str
    answer: Callable[[list[str], dict[str, Any]], Json]


class Api:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.lister = Lister(store)
        self.keys = Keys()
        self.recipients_mode = "404"

    @property
    def account_id(self) -> str:
        return self.store.world.ids["account"].of(0)

    def checked(self, request: Request) -> Route:
        """The route of the request, after checking its key, version, account and permission."""
        key, access = self.keys.check(request.headers)
        version = request.headers.get("Stripe-Version", versions.PINNED)
        if version not in versions.KNOWN:
            raise StripeError(400, f"Invalid Stripe API version: {version}. Please provide a valid API version.")
        self._check_account(request.headers.get("Stripe-Account"), key)
        route = self.route(request.method, request.path, version)
        keys.require(key, access, route.permission, self.account_id)
        return route

    def answer(self, request: Request, route: Route) -> Json:
        given = parsed(request.body if request.method == "POST" else request.query)
        return route.answer([part for part in request.path.split("/") if part], given)

    def _check_account(self, account: str | None, key: str) -> None:
        if account is not None and BY_NAME["account"].index(self.store.world, account) is None:
            raise StripeError(
                403,
                f"The provided key '{masked(key)}' does not have access to account '{account}' (or that account does "
                "not exist). Application access may have been revoked.",
                code="account_invalid",
            )

    def route(self, method: str, path: str, version: str) -> Route:
        if method == "POST" and path == "/v1/invoices/create_preview":
            return Route(f"POST {path}", "rak_invoice_write", self._preview)
        if method == "GET":
            parts = path.strip("/").split("/")
            found = self._singleton(path, version) or self._kind(parts) or self._nested(parts)
            if found:
                return found
        raise unknown_route(method, path)

    def _singleton(self, path: str, version: str) -> Route | None:
        if path == "/v1/account":
            return Route("GET /v1/account", "rak_accounts_kyc_basic_read", self._own_account)
        if path == "/v1/balance":
            return Route("GET /v1/balance", "rak_balance_read", self._balance_now)
        if path == "/v1/recipients" and version == versions.RECIPIENTS:
            return Route("GET /v1/recipients", "rak_accounts_kyc_basic_read", self._recipients)
        if path == "/v1/subscription_items":
            return Route("GET /v1/subscription_items", "rak_subscription_read", self._items)
        return None

    def _kind(self, parts: list[str]) -> Route | None:
        if parts[:3] == ["v1", "balance", "history"]:
            parts = ["v1", "balance_transactions", *parts[3:]]
        kind = BY_PATH.get("/" + "/".join(parts[:2]))
        if kind is not None and len(parts) == 2:
            return Route(f"GET {kind.path}", kind.permission, lambda _, given: self._list(kind, given))
        if kind is not None and len(parts) == 3:
            id_ = parts[2]
            return Route(f"GET {kind.path}/{{id}}", kind.permission, lambda _, given: self._one(kind, id_, given))
        if parts[:2] == ["v1", "subscription_items"] and len(parts) == 3:
            return Route("GET /v1/subscription_items/{id}", "rak_subscription_read", self._item)
        return None

    def _nested(self, parts: list[str]) -> Route | None:
        if len(parts) != 4 or (parts[1], parts[3]) not in _NESTED:
            return None
        family, permission = _NESTED[parts[1], parts[3]]
        if parts[3] == "discount":
            return Route(f"GET /v1/{parts[1]}/{{id}}/discount", permission, self._discount)
        kind = BY_NAME[family]

        def answer(path: list[str], given: dict[str, Any]) -> Json:
            return self._children(kind, path[2], path[3], given)

        return Route(f"GET /v1/{parts[1]}/{{id}}/{parts[3]}", permission, answer)

    def _list(self, kind: Kind, given: dict[str, Any]) -> Json:
        paths = _of_data(expand_of(given))
        found, more = self.lister.page(kind, query(kind, given))
        return self._listed(kind.path, found, more, paths)

    def _listed(self, url: str, found: list[Json], more: bool, paths: list[list[str]]) -> Json:
        for path in paths:
            found = [expand.expanded(self.store, one, path) for one in found]
        return {"object": "list", "data": found, "has_more": more, "url": url}

    def _shown(self, one: Json, given: dict[str, Any]) -> Json:
        refuse_unknown(given, ("expand",))
        for path in expand_of(given):
            one = expand.expanded(self.store, one, path)
        return one

    def _one(self, kind: Kind, id_: str, given: dict[str, Any]) -> Json:
        one = self.store.get(kind, id_)
        if one is None:
            raise missing_object(kind.name, id_)
        return self._shown(one, given)

    def _own_account(self, _: list[str], given: dict[str, Any]) -> Json:
        return self._one(BY_NAME["account"], self.account_id, given)

    def balance(self) -> Json:
        world, now = self.store.world, self.store.clock.now()
        looking_back = now < world.end
        return balance.balance(ledger.balance(world, now, until=now) if looking_back else self.store.funds.sums())

    def _balance_now(self, _: list[str], given: dict[str, Any]) -> Json:
        return self._shown(self.balance(), given)

    def _recipients(self, _: list[str], given: dict[str, Any]) -> Json:
        refuse_unknown(given, LISTING | {"created", "type", "verified"})
        found = recipients.recipients(self.store.world, self.recipients_mode)
        page, more = slice_of(found, given, missing_status=self.lister.missing_status)
        return self._listed("/v1/recipients", page, more, [])

    def _items(self, _: list[str], given: dict[str, Any]) -> Json:
        if "subscription" not in given:
            raise bad_parameter("Missing required param: subscription.", "subscription", "parameter_missing")
        sub = given["subscription"]
        rest = {name: value for name, value in given.items() if name != "subscription"}
        return self._children(BY_NAME["subscription"], sub, "items", rest, param="subscription")

    def _item(self, path: list[str], given: dict[str, Any]) -> Json:
        one = self.store.entry("subscription_item", path[2])
        if one is None:
            raise missing_object("subscription_item", path[2])
        return self._shown(one, given)

    def _discount(self, path: list[str], given: dict[str, Any]) -> Json:
        one = self.store.get(BY_NAME["customer"], path[2])
        if one is None or one.get("discount") is None:
            raise missing_object("discount", path[2], param="customer")
        return self._shown(one["discount"], given)

    def _children(self, kind: Kind, id_: str, name: str, given: dict[str, Any], *, param: str = "id") -> Json:
        refuse_unknown(given, LISTING)
        parent = self.store.get(kind, id_)
        if parent is None:
            raise missing_object(kind.name, id_, param=param)
        paths = _of_data(expand_of(given))
        page, more = slice_of(
            children(self.store, kind, parent, name), given, missing_status=self.lister.missing_status
        )
        url = f"{kind.path}/{id_}/{name}" if name != "items" else "/v1/subscription_items"
        return self._listed(url, page, more, paths)

    def _preview(self, _: list[str], given: dict[str, Any]) -> Json:
        refuse_unknown(given, PREVIEW_KNOWN)
        one = preview(self.store, given)
        for path in expand_of(given):
            one = expand.expanded(self.store, one, path)
        return one


_NESTED = {
    ("invoices", "lines"): ("invoice", "rak_invoice_read"),
    ("application_fees", "refunds"): ("application_fee", "rak_application_fee_read"),
    ("transfers", "reversals"): ("transfer", "rak_transfer_read"),
    ("charges", "refunds"): ("charge", "rak_charge_read"),
    ("customers", "subscriptions"): ("customer", "rak_subscription_read"),
    ("customers", "discount"): ("customer", "rak_customer_read"),
    ("accounts", "external_accounts"): ("account", "rak_accounts_kyc_basic_read"),
}


def children(store: Store, kind: Kind, parent: Json, name: str) -> list[Json]:
    """All entries of a nested list."""
    if name == "refunds" and kind.name == "charge":
        return store.refunds_of(parent)
    if name in ("subscriptions", "external_accounts"):
        return expand.subscriptions_of(store, parent) if name == "subscriptions" else []
    return store.entries(kind, parent, name)


def _of_data(paths: list[list[str]]) -> list[list[str]]:
    """The `expand` paths relative to each object of a list."""
    for path in paths:
        if path[0] != "data":
            raise bad_parameter(
                f"This property cannot be expanded ({path[0]}). In a list it is 'data.{'.'.join(path)}'.",
                "expand",
            )
    return [path[1:] for path in paths if len(path) > 1]
