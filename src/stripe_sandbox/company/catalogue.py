"""Products, prices and coupons, in plain lists because there are few. A price and its plan share an index."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from stripe_sandbox.company.money import CURRENCIES, JPY, KWD, localized, rounded

DAY = 86400


@dataclass(frozen=True, slots=True)
class Product:
    name: str
    created: int
    active: bool
    #: The name of a unit of the service; None for goods.
    unit: str | None


@dataclass(frozen=True, slots=True)
class Tier:
    up_to: int | None
    unit: int
    flat: int | None


@dataclass(frozen=True, slots=True)
class Price:
    product: int
    currency: int
    created: int
    #: None if the price is tiered or has fractions of a minor unit.
    amount: int | None
    decimal: str | None
    interval: str | None
    active: bool
    metered: bool = False
    tiers: tuple[Tier, ...] = ()
    tiers_mode: str | None = None
    trial_days: int | None = None
    nickname: str | None = None

    def cost(self, quantity: int) -> int:
        """The cost of `quantity` units in one period."""
        if self.tiers:
            return self._tiered(quantity)
        if self.amount is not None:
            return self.amount * quantity
        exact = Decimal(self.decimal or "0") * quantity
        return rounded(int(exact.quantize(Decimal(1), ROUND_HALF_UP)), self.currency)

    def _tiered(self, quantity: int) -> int:
        if self.tiers_mode == "volume":
            tier = next(t for t in self.tiers if t.up_to is None or quantity <= t.up_to)
            return tier.unit * quantity + (tier.flat or 0)
        cost, below = 0, 0
        for tier in self.tiers:
            top = quantity if tier.up_to is None else min(quantity, tier.up_to)
            if top > below:
                cost += tier.unit * (top - below) + (tier.flat or 0)
                below = top
        return cost


@dataclass(frozen=True, slots=True)
class Coupon:
    id: str
    name: str
    created: int
    percent: float | None
    amount: int | None
    currency: int | None
    duration: str
    months: int | None
    valid: bool = True
    redeem_by: int | None = None
    max_redemptions: int | None = None
    #: The products to which it is limited; all products if empty.
    applies_to: tuple[int, ...] = ()


_SERVICES = (
    ("Starter", 900, None), ("Team", 2900, "seat"), ("Business", 9900, "seat"), ("Scale", 29900, "seat"),
    ("Archive", 500, None), ("Support", 4900, None), ("Insights", 1900, None), ("Sandbox environment", 1500, None),
)  # fmt: skip
_METERED = (("API calls", "call"), ("Storage", "GB"), ("Messages", "message"))
_GOODS = (("Onboarding workshop", 75000), ("Card reader", 5900), ("Data import", 24000), ("Sticker pack", 700))


class Catalogue:
    """Products, prices and coupons, in order of creation."""

    def __init__(self, start: int) -> None:
        self.products: list[Product] = []
        self.prices: list[Price] = []
        self._start = start
        self._sell_services()
        self._sell_usage()
        self._sell_goods()
        self.products.append(Product("Fax gateway", start + 9 * DAY, active=False, unit=None))
        self.coupons = _coupons(start)
        #: Creation times of products, prices and coupons.
        self.created = tuple([one.created for one in some] for some in (self.products, self.prices, self.coupons))
        self._coupon_index = {coupon.id: n for n, coupon in enumerate(self.coupons)}
        #: Prices that a subscription can combine, by currency: monthly and yearly.
        self.monthly = [self._recurring(currency, "month") for currency in range(len(CURRENCIES))]
        self.yearly = [self._recurring(currency, "year") for currency in range(len(CURRENCIES))]
        self.goods = [
            [n for n, price in enumerate(self.prices) if price.currency == currency and price.interval is None]
            for currency in range(len(CURRENCIES))
        ]

    def coupon_index(self, coupon: str) -> int | None:
        return self._coupon_index.get(coupon)

    def _recurring(self, currency: int, interval: str) -> list[int]:
        return [n for n, price in enumerate(self.prices) if price.currency == currency and price.interval == interval]

    def _add(self, **fields: object) -> None:
        self.prices.append(Price(created=self._start + 3600 + 61 * len(self.prices), **fields))  # type: ignore[arg-type]

    def _sell_services(self) -> None:
        for n, (name, _, unit) in enumerate(_SERVICES):
            self.products.append(Product(name, self._start + 60 * n, active=True, unit=unit))
        for currency in range(len(CURRENCIES)):
            for n, (name, cents, _) in enumerate(_SERVICES):
                for times, interval in ((1, "month"), (10, "year")):
                    amount = localized(cents * times, currency)
                    self._add(
                        product=n,
                        currency=currency,
                        amount=amount,
                        decimal=str(amount),
                        interval=interval,
                        active=True,
                        trial_days=14 if n == 0 else None,
                        nickname=f"{name}, {interval}ly",
                    )
                old = localized(cents * 8 // 10, currency)
                self._add(product=n, currency=currency, amount=old, decimal=str(old), interval="month", active=False)

    def _sell_usage(self) -> None:
        first = len(self.products)
        for n, (name, unit) in enumerate(_METERED):
            self.products.append(Product(name, self._start + 2000 + n, active=True, unit=unit))
        for currency in range(len(CURRENCIES)):
            scale = {JPY: 1, KWD: 10}.get(currency, 2)
            graduated = (
                Tier(100, 4 * scale * 5, None),
                Tier(1000, 3 * scale * 5, 100 * scale),
                Tier(None, scale * 5, None),
            )
            volume = (Tier(50, 10 * scale, 250 * scale), Tier(None, 5 * scale, None))
            for product, tiers, mode in ((first, graduated, "graduated"), (first + 1, volume, "volume")):
                self._add(
                    product=product,
                    currency=currency,
                    amount=None,
                    decimal=None,
                    interval="month",
                    active=True,
                    metered=True,
                    tiers=tiers,
                    tiers_mode=mode,
                )
            self._add(
                product=first + 2,
                currency=currency,
                amount=None,
                decimal="0.25",
                interval="month",
                active=True,
                metered=True,
            )

    def _sell_goods(self) -> None:
        first = len(self.products)
        for n, (name, _) in enumerate(_GOODS):
            self.products.append(Product(name, self._start + 3000 + n, active=True, unit=None))
        for currency in range(len(CURRENCIES)):
            for n, (_, cents) in enumerate(_GOODS):
                amount = localized(cents, currency)
                self._add(
                    product=first + n,
                    currency=currency,
                    amount=amount,
                    decimal=str(amount),
                    interval=None,
                    active=n != len(_GOODS) - 1,
                )


def _coupons(start: int) -> list[Coupon]:
    def percent(id_: str, name: str, value: float, duration: str, months: int | None = None, **more: object) -> Coupon:
        created = start + 5000 + len(coupons) * 86000
        return Coupon(id_, name, created, value, None, None, duration, months, **more)  # type: ignore[arg-type]

    coupons: list[Coupon] = []
    coupons.append(percent("WELCOME10", "Welcome", 10.0, "once"))
    coupons.append(percent("FRIENDS25", "Friends and family", 25.5, "forever"))
    coupons.append(percent("QUARTER50", "Half price for a quarter", 50.0, "repeating", 3))
    coupons.append(percent("LOYAL5", "Loyalty", 5.0, "forever", max_redemptions=100000))
    coupons.append(percent("TEAMS15", "Teams only", 15.0, "forever", applies_to=(1, 2)))
    coupons.append(percent("HALFYEAR20", "Half a year", 20.0, "repeating", 6))
    coupons.append(percent("EXPIRED90", "Black Friday", 90.0, "once", valid=False, redeem_by=start + 40 * DAY))
    for currency, code in enumerate(CURRENCIES):
        created, name = start + 5000 + len(coupons) * 86000, f"A little off ({code.upper()})"
        off = localized(500, currency)
        coupons.append(Coupon(f"OFF_{code.upper()}", name, created, None, off, currency, "forever", None))
    coupons.extend(percent(f"PARTNER{n:02d}", f"Partner {n}", 3.0 + n / 2, "forever") for n in range(1, 20))
    return coupons
