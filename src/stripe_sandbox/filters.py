"""List filters: how a parameter's value selects generated and added objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_sandbox.company import history, ledger
from stripe_sandbox.company import tables as t
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.objects import money
from stripe_sandbox.objects.invoices import subscription_of
from stripe_sandbox.objects.json import Json
from stripe_sandbox.wire.errors import bad_parameter
from stripe_sandbox.wire.parameters import boolean, range_of

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

OfIndex = Callable[[int], bool]
OfObject = Callable[[Json], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """`by_index` reads the compact arrays; without it, each object has to be rendered."""

    by_object: Callable[[Any], OfObject]
    by_index: Callable[[World, Any], OfIndex] | None = None
    #: The field that `by_object` reads. While it is as generated, `by_index` gives the same result.
    field: str = ""
    #: Returns the value that must equal the parameter; added objects are indexed by it.
    key: Callable[[Json], Any] | None = None


def _never(_: int) -> bool:
    return False


def keyed(key: Callable[[Json], Any], by_index: Callable[[World, Any], OfIndex], field: str) -> Filter:
    """Matches a value that few objects share."""
    return Filter(lambda value: lambda one: bool(key(one) == value), by_index, field, key)


def reference(field: str, family: str, column: Callable[[World], Sequence[int]]) -> Filter:
    """Matches the id of another object."""

    def by_index(world: World, value: Any) -> OfIndex:
        index, wanted = world.ids[family].index(str(value)), column(world)
        return _never if index is None else (lambda n: wanted[n] == index)

    return keyed(lambda one: one.get(field), by_index, field)


def choice(field: str, values: Sequence[str], column: Callable[[World], Sequence[int]] | None = None) -> Filter:
    """Matches one of Stripe's enum values; rejects all other values."""

    def check(value: Any) -> None:
        if value not in values:
            words = ", ".join(values[:-1]) + f", or {values[-1]}"
            raise bad_parameter(f"Invalid {field}: must be one of {words}", field)

    def by_object(value: Any) -> OfObject:
        check(value)
        return lambda one: one.get(field) == value

    def by_index(world: World, value: Any) -> OfIndex:
        check(value)
        assert column is not None  # noqa: S101 - set only together with a column
        codes, wanted = column(world), {n for n, word in enumerate(values) if word == value}
        return lambda n: codes[n] in wanted

    return Filter(by_object, by_index if column is not None else None, field)


def equal(*path: str) -> Filter:
    """Matches a field, which may be nested, that equals the value."""

    def by_object(value: Any) -> OfObject:
        def matches(one: Json) -> bool:
            found: Any = one
            for name in path:
                found = found.get(name) if isinstance(found, dict) else None
            return bool(found == value)

        return matches

    return Filter(by_object)


def flag(field: str) -> Filter:
    def by_object(value: Any) -> OfObject:
        wanted = boolean(value, field)
        return lambda one: bool(one.get(field)) is wanted

    return Filter(by_object)


def pending(column: Callable[[World], Sequence[int]]) -> Filter:
    """Matches invoice items that are on no invoice yet or, with `false`, those that are."""

    def by_index(world: World, value: Any) -> OfIndex:
        wanted, owners = boolean(value, "pending"), column(world)
        return lambda n: (owners[n] < 0) is wanted

    def by_object(value: Any) -> OfObject:
        wanted = boolean(value, "pending")
        return lambda one: (one["invoice"] is None) is wanted

    return Filter(by_object, by_index, "invoice")


def between(*path: str) -> Filter:
    """Matches objects with a value of the field in a range of seconds."""

    def by_object(value: Any) -> OfObject:
        wanted = range_of(value, path[-1])
        return lambda one: any(found in wanted for found in _values(one, path))

    return Filter(by_object)


def _values(found: Any, path: Sequence[str]) -> list[Any]:
    if isinstance(found, list):
        return [value for one in found for value in _values(one, path)]
    if not path:
        return [found]
    return _values(found.get(path[0]), path[1:]) if isinstance(found, dict) else []


def any_of(field: str) -> Filter:
    """Matches any of a list of values."""
    return Filter(lambda value: lambda one: one.get(field) in (value if isinstance(value, list) else [value]))


_SUBSCRIPTION_WORDS = (
    "active, past_due, unpaid, canceled, incomplete, incomplete_expired, trialing, paused, all, or ended"
)


def subscription_status() -> Filter:
    """Without a value, matches Stripe's default: all but canceled subscriptions (docs: list subscriptions)."""
    ended = {"canceled", "incomplete_expired"}

    def wanted(value: Any) -> set[str]:
        if value is None:
            return set(t.SUBSCRIPTION_STATUSES) - {"canceled"}
        if value == "all":
            return set(t.SUBSCRIPTION_STATUSES)
        if value == "ended":
            return ended
        if value not in t.SUBSCRIPTION_STATUSES:
            raise bad_parameter(f"Invalid status: must be one of {_SUBSCRIPTION_WORDS}", "status")
        return {str(value)}

    def by_object(value: Any) -> OfObject:
        words = wanted(value)
        return lambda one: one["status"] in words

    def by_index(world: World, value: Any) -> OfIndex:
        words = wanted(value)
        codes = {n for n, word in enumerate(t.SUBSCRIPTION_STATUSES) if word in words}
        column = world.subscriptions.status
        return lambda n: column[n] in codes

    return Filter(by_object, by_index, "status")


def transaction_source() -> Filter:
    def by_index(world: World, value: Any) -> OfIndex:
        pairs = set()
        for code, kind in enumerate(ledger.KINDS):
            index = world.ids[kind.source].index(str(value)) if kind.source else None
            if index is not None:
                pairs.add((code, index))
        kinds, sources = world.transactions.kind, world.transactions.source
        return lambda n: (kinds[n], sources[n]) in pairs

    return keyed(lambda one: one["source"], by_index, "source")


def transaction_type() -> Filter:
    def by_index(world: World, value: Any) -> OfIndex:
        return lambda n: money.transaction_type(world, n) == value

    return Filter(lambda value: lambda one: one["type"] == value, by_index, "type")


def payout() -> Filter:
    """A transaction has no field for its payout; `Store.paid_out` records it."""

    def by_index(world: World, value: Any) -> OfIndex:
        index, column = world.ids["payout"].index(str(value)), world.transactions.payout
        if index is None:
            later = world.transactions.paid_later
            return lambda n: later.get(n) == value
        return lambda n: column[n] == index

    return keyed(lambda _: None, by_index, "payout")


def currency(column: Callable[[World], Sequence[int]]) -> Filter:
    def by_index(world: World, value: Any) -> OfIndex:
        codes = column(world)
        wanted = CURRENCIES.index(value) if value in CURRENCIES else -1
        return lambda n: codes[n] == wanted

    return Filter(lambda value: lambda one: one["currency"] == value, by_index, "currency")


def event_type(*, several: bool) -> Filter:
    def matches(value: Any) -> Callable[[str], bool]:
        words = value if isinstance(value, list) else [value]
        if several and len(words) > 20:
            raise bad_parameter("You may pass up to 20 event types.", "types")
        return lambda kind: any(kind == w or (w.endswith("*") and kind.startswith(w[:-1])) for w in words)

    def by_index(world: World, value: Any) -> OfIndex:
        test = matches(value)
        codes, column = {n for n, (kind, _) in enumerate(history.KINDS) if test(kind)}, world.events.kind
        return lambda n: column[n] in codes

    def by_object(value: Any) -> OfObject:
        test = matches(value)
        return lambda one: test(one["type"])

    return Filter(by_object, by_index, "type")


def payment_intent(column: Callable[[World], Sequence[int]] | None) -> Filter:
    def by_index(world: World, value: Any) -> OfIndex:
        index = world.ids["payment_intent"].index(str(value))
        if column is None:
            return lambda n: n == index
        charge_of = column(world)
        return lambda n: charge_of[n] == index

    return keyed(lambda one: one["payment_intent"], by_index, "payment_intent")


def subscription() -> Filter:
    """Matches the subscription of an invoice."""

    def by_index(world: World, value: Any) -> OfIndex:
        index, owners = world.ids["subscription"].index(str(value)), world.invoices.subscription
        return _never if index is None else (lambda n: owners[n] == index)

    return keyed(subscription_of, by_index, "parent")


def has_price() -> Filter:
    """Matches subscriptions with an item of that price."""
    return Filter(lambda value: lambda one: any(item["price"]["id"] == value for item in one["items"]["data"]))
