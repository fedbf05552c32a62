"""The amounts to bill next: pending invoice items and subscription periods, minus discounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stripe_sandbox.chance import mix
from stripe_sandbox.company.money import CURRENCIES, rounded
from stripe_sandbox.kinds import BY_NAME
from stripe_sandbox.objects.invoices import outline, parent_of_item, parent_of_period, shaped_line, subscription_of
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store

ITEMS = BY_NAME["invoiceitem"]


@dataclass(frozen=True, slots=True)
class Line:
    """An invoice line, for either a subscription item or an invoice item."""

    price: Json
    quantity: int
    amount: int
    discounts: tuple[str, ...] = ()
    subscription: str | None = None
    #: Id of the subscription item.
    item: str | None = None
    invoice_item: str | None = None
    proration: bool = False
    #: Date of the invoice item.
    date: int = 0


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines, and the amount that each discount takes off each line."""

    lines: list[Line]
    discounts: list[str]
    taken: list[dict[str, int]]

    @property
    def subtotal(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def total(self) -> int:
        return self.subtotal - sum(amount for taken in self.taken for amount in taken.values())

    def totals(self) -> list[Json]:
        """Every discount of the invoice and its lines, with its total amount."""
        sums = dict.fromkeys(self.discounts, 0)
        for line, taken in zip(self.lines, self.taken, strict=True):
            for discount in line.discounts:
                sums.setdefault(discount, 0)
            for discount, amount in taken.items():
                sums[discount] += amount
        return [{"amount": amount, "discount": discount} for discount, amount in sums.items()]


def bill(store: Store, lines: list[Line], discounts: Sequence[str], currency: str) -> Bill:
    taken: list[dict[str, int]] = [{} for _ in lines]
    left = [max(0, line.amount) for line in lines]
    for position, line in enumerate(lines):
        for discount in line.discounts:
            _take(store, discount, [position], lines, left, taken, currency)
    for discount in discounts:
        _take(store, discount, range(len(lines)), lines, left, taken, currency)
    return Bill(lines, list(discounts), taken)


def _take(
    store: Store, discount: str, positions: Sequence[int], lines: list[Line], left: list[int],
    taken: list[dict[str, int]], currency: str,
) -> None:  # fmt: skip
    coupon = coupon_of(store, discount)
    index = store.world.catalogue.coupon_index(coupon["id"])
    products = store.world.catalogue.coupons[index].applies_to if index is not None else ()
    only = {store.world.ids["product"].of(product) for product in products}
    purse = coupon["amount_off"] or 0
    for position in positions:
        if only and lines[position].price["product"] not in only:
            continue
        if coupon["percent_off"] is not None:
            amount = rounded(int(left[position] * coupon["percent_off"]) // 100, CURRENCIES.index(currency))
        else:
            amount = min(purse, left[position])
            purse -= amount
        if amount:
            left[position] -= amount
            taken[position][discount] = amount


def coupon_of(store: Store, discount: str) -> Json:
    """The coupon of a discount, even if it has been deleted since."""
    given = store.discount(discount)
    coupon = store.find(given["source"]["coupon"]) if given else None
    if coupon is None:
        raise LookupError(f"discount {discount} has no coupon")
    return coupon


def in_force(store: Store, discounts: Sequence[str], at: int) -> list[str]:
    """The discounts that have not ended at that time."""
    return [id_ for id_ in discounts if (one := store.discount(id_)) and (one["end"] is None or one["end"] > at)]


def discounts_of(store: Store, sub: Json | None, customer: Json, at: int) -> list[str]:
    """The discounts of an invoice: the subscription's or, if it has none, the customer's."""
    own = in_force(store, sub["discounts"], at) if sub else []
    if not own and customer.get("discount"):
        own = in_force(store, [customer["discount"]["id"]], at)
    return own


def waiting(store: Store, customer: str) -> list[Json]:
    """A customer's pending invoice items, oldest first."""
    world, overlay = store.world, store.overlays["invoiceitem"]
    n = BY_NAME["customer"].index(world, customer)
    generated = world.invoice_items.pending.get(n, ()) if n is not None else ()
    found = [store.at(ITEMS, i) for i in generated if i not in overlay.gone]
    found += [store.added(ITEMS, id_) for _, id_ in overlay.referring.get(("customer", customer), ())]
    return [one for one in found if one["invoice"] is None]


def next_lines(store: Store, sub: Json, discounts: Sequence[str]) -> list[Line]:
    """The lines of a subscription's next invoice: pending items of this subscription or of none, then its periods.

    Credits stay pending if they would make the total negative.
    """
    own = [one for one in waiting(store, sub["customer"]) if subscription_of(one) in (None, sub["id"])]
    lines = [*(item_line(store, one) for one in own), *period_lines(store, sub)]
    while bill(store, lines, discounts, sub["currency"]).total < 0:
        del lines[max(n for n, line in enumerate(lines) if line.amount < 0)]
    return lines


def item_line(store: Store, item: Json) -> Line:
    price = store.find(item["pricing"]["price_details"]["price"])
    if price is None:
        raise LookupError(f"invoice item {item['id']} has no price")
    return Line(
        price,
        item["quantity"],
        item["amount"],
        tuple(item["discounts"]),
        subscription_of(item),
        invoice_item=item["id"],
        proration=item["proration"],
        date=item["date"],
    )


def period_lines(store: Store, sub: Json, *, free: bool = False) -> list[Line]:
    """A line for each item of a subscription."""
    lines = []
    for item in sub["items"]["data"]:
        units = quantity(store, item)
        amount = 0 if free else cost(store, item["price"], units)
        lines.append(Line(item["price"], units, amount, tuple(item["discounts"]), sub["id"], item=item["id"]))
    return lines


def quantity(store: Store, item: Json) -> int:
    """Units of a subscription item per period; for a metered item, its usage."""
    if "quantity" in item:
        return int(item["quantity"])
    n = store.world.ids["subscription_item"].index(item["id"])
    if n is not None:
        return store.world.item_quantity(n >> 5, n & 31)
    return 40 + mix(int.from_bytes(item["id"].encode()[-8:], "big")) % 400


def cost(store: Store, price: Json, units: int) -> int:
    """The cost of the units in one period."""
    n = store.world.ids["price"].index(price["id"])
    if n is not None:
        return store.world.catalogue.prices[n].cost(units)
    return int(price["unit_amount"]) * units


def invoice_fields(
    store: Store, id_: str, customer: Json, done: Bill, *, period: tuple[int, int], currency: str,
    line_ids: Iterator[str], subscription: str | None,
) -> Json:  # fmt: skip
    """The invoice fields that follow from the bill: its amounts and all of its lines."""
    made = outline(
        customer, currency, subscription=subscription, subtotal=done.subtotal, discounts=done.discounts,
        taken=done.totals(),
    )  # fmt: skip
    lines = [
        _shown(store, next(line_ids), id_, line, taken, period, currency)
        for line, taken in zip(done.lines, done.taken, strict=True)
    ]
    url = f"/v1/invoices/{id_}/lines"
    return made | {"id": id_, "lines": {"object": "list", "data": lines, "has_more": False, "url": url}}


def _shown(
    store: Store, id_: str, invoice: str, line: Line, taken: dict[str, int], period: tuple[int, int], currency: str
) -> Json:
    parent = None
    if line.invoice_item:
        parent = parent_of_item(line.invoice_item, line.subscription, proration=line.proration)
        period = (line.date, line.date)
    elif line.item:
        parent = parent_of_period(line.item, line.subscription)
    details = {"price": line.price["id"], "product": line.price["product"]}
    return shaped_line(
        id_,
        invoice,
        amount=line.amount,
        currency=currency,
        product=_name(store, line.price),
        taken=[{"amount": amount, "discount": discount} for discount, amount in taken.items()],
        discounts=list(line.discounts),
        parent=parent,
        period={"end": period[1], "start": period[0]},
        pricing={
            "price_details": details,
            "type": "price_details",
            "unit_amount_decimal": line.price["unit_amount_decimal"],
        },
        quantity=line.quantity,
        subscription=line.subscription,
    )


def _name(store: Store, price: Json) -> str:
    """The product name on a line: the name at the time of sale, even if the product has since been renamed."""
    n = store.world.ids["product"].index(price["product"])
    return str(price["nickname"] if n is None else store.world.catalogue.products[n].name)
