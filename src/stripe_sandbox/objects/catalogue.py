"""Products, prices, plans and coupons, and the fields that are shown only with `expand`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.company.money import CURRENCIES, localized
from stripe_sandbox.objects.json import Json

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World


def product(world: World, n: int) -> Json:
    one = world.catalogue.products[n]
    default = next((i for i, price in enumerate(world.catalogue.prices) if price.product == n), None)
    return {
        "id": world.ids["product"].of(n),
        "object": "product",
        "active": one.active,
        "created": one.created,
        "default_price": None if default is None else world.ids["price"].of(default),
        "description": f"{one.name}, billed as agreed" if n % 3 else None,
        "images": [],
        "livemode": False,
        "marketing_features": [{"name": "Support by people"}] if n % 4 == 0 else [],
        "metadata": {"sku": f"SKU-{n:03d}"},
        "name": one.name,
        "package_dimensions": {"height": 2.0, "length": 9.5, "weight": 11.0, "width": 6.25} if n == 12 else None,
        "shippable": True if n == 12 else None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": one.unit,
        "updated": one.created + 3600 * n,
        "url": None,
    }


def price(world: World, n: int) -> Json:
    one = world.catalogue.prices[n]
    return {
        "id": world.ids["price"].of(n),
        "object": "price",
        "active": one.active,
        "billing_scheme": "tiered" if one.tiers else "per_unit",
        "created": one.created,
        "currency": CURRENCIES[one.currency],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": f"key_{n}" if n % 10 == 0 else None,
        "metadata": {},
        "nickname": one.nickname,
        "product": world.ids["product"].of(one.product),
        "recurring": {
            "interval": one.interval,
            "interval_count": 1,
            "meter": None,
            "trial_period_days": one.trial_days,
            "usage_type": "metered" if one.metered else "licensed",
        }
        if one.interval
        else None,
        "tax_behavior": "unspecified",
        "tiers_mode": one.tiers_mode,
        "transform_quantity": None,
        "type": "recurring" if one.interval else "one_time",
        "unit_amount": one.amount,
        "unit_amount_decimal": one.decimal,
    }


def plan(world: World, n: int) -> Json:
    """The price as a plan of the older API; only recurring prices are plans."""
    one = world.catalogue.prices[n]
    return {
        "id": world.ids["price"].of(n),
        "object": "plan",
        "active": one.active,
        "amount": one.amount,
        "amount_decimal": one.decimal,
        "billing_scheme": "tiered" if one.tiers else "per_unit",
        "created": one.created,
        "currency": CURRENCIES[one.currency],
        "interval": one.interval,
        "interval_count": 1,
        "livemode": False,
        "metadata": {},
        "meter": None,
        "nickname": one.nickname,
        "product": world.ids["product"].of(one.product),
        "tiers_mode": one.tiers_mode,
        "transform_usage": None,
        "trial_period_days": one.trial_days,
        "usage_type": "metered" if one.metered else "licensed",
    }


def tiers(world: World, n: int) -> list[Json]:
    return [
        {
            "flat_amount": tier.flat,
            "flat_amount_decimal": None if tier.flat is None else str(tier.flat),
            "unit_amount": tier.unit,
            "unit_amount_decimal": str(tier.unit),
            "up_to": tier.up_to,
        }
        for tier in world.catalogue.prices[n].tiers
    ]


def coupon(world: World, n: int) -> Json:
    one = world.catalogue.coupons[n]
    return {
        "id": one.id,
        "object": "coupon",
        "amount_off": one.amount,
        "created": one.created,
        "currency": None if one.currency is None else CURRENCIES[one.currency],
        "duration": one.duration,
        "duration_in_months": one.months,
        "livemode": False,
        "max_redemptions": one.max_redemptions,
        "metadata": {"campaign": one.name} if n % 3 == 0 else {},
        "name": one.name,
        "percent_off": one.percent,
        "redeem_by": one.redeem_by,
        "times_redeemed": n * 3 % 17,
        "valid": one.valid,
    }


def applies_to(world: World, n: int) -> Json | None:
    one = world.catalogue.coupons[n]
    return {"products": [world.ids["product"].of(i) for i in one.applies_to]} if one.applies_to else None


def currency_options(world: World, n: int) -> Json:
    """The price in its own currency only; the sandbox has a separate price for each currency."""
    one = world.catalogue.prices[n]
    own: Json = {
        "custom_unit_amount": None,
        "tax_behavior": "unspecified",
        "unit_amount": one.amount,
        "unit_amount_decimal": one.decimal,
    }
    return {CURRENCIES[one.currency]: own}


def coupon_currency_options(world: World, n: int) -> Json:
    one = world.catalogue.coupons[n]
    if one.amount is None:
        return {}
    return {code: {"amount_off": localized(500, currency)} for currency, code in enumerate(CURRENCIES)}
