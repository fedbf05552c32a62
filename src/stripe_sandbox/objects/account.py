"""The company's own account, and the accounts connected to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_sandbox.chance import mix
from stripe_sandbox.company.people import TRADES, WORDS
from stripe_sandbox.objects.json import Json, nested

if TYPE_CHECKING:
    from stripe_sandbox.company.world import World

_NOTHING_DUE: Json = {
    "alternatives": [],
    "current_deadline": None,
    "currently_due": [],
    "disabled_reason": None,
    "errors": [],
    "eventually_due": [],
    "past_due": [],
    "pending_verification": [],
}
_NO_SCRIPTS: Json = {"statement_descriptor_prefix_kana": None, "statement_descriptor_prefix_kanji": None}


def account(world: World, n: int) -> Json:
    """The n-th account; 0 is the company itself."""
    id_, dice = world.ids["account"].of(n), mix(n + world.seed)
    own = n == 0
    name = "Paper & Ink" if own else f"{WORDS[dice % 12]} {TRADES[(dice >> 8) % 12]}"
    host = name.lower().replace(" & ", "-and-").replace(" ", "-") + ("" if own else f"-{n}")
    address = {
        "city": "Portland",
        "country": "US",
        "line1": "1 Mill Lane",
        "line2": None,
        "postal_code": "97201",
        "state": "OR",
    }
    return {
        "id": id_,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": 42 if own else None,
            "mcc": "5734",
            "minority_owned_business_designation": None,
            "name": name,
            "product_description": None,
            "support_address": address if own else None,
            "support_email": f"help@{host}.example",
            "support_phone": "+15035550100",
            "support_url": None,
            "url": f"https://{host}.example",
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active" if n % 9 else "pending"},
        "charges_enabled": True,
        "controller": {"type": "account"} if own else {"is_controller": True, "type": "application"},
        "country": "US",
        "created": created(world, n),
        "default_currency": "usd",
        "details_submitted": True,
        "email": f"owner@{host}.example",
        "external_accounts": nested(f"/v1/accounts/{id_}/external_accounts", []),
        "future_requirements": _NOTHING_DUE,
        "groups": None,
        "metadata": {} if own else {"partner": str(n)},
        "payouts_enabled": bool(own or n % 7),
        "requirements": _NOTHING_DUE,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": "#1f6f5c", "secondary_color": None},
            "card_payments": {"statement_descriptor_prefix": None, **_NO_SCRIPTS},
            "dashboard": {"display_name": name, "timezone": "America/Los_Angeles"},
            "payments": {
                "statement_descriptor": "PAPER AND INK",
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
            },
            "payouts": {
                "debit_negative_balances": True,
                "schedule": {"delay_days": 2, "interval": "weekly", "weekly_anchor": "monday"},
                "statement_descriptor": None,
            },
        },
        "tos_acceptance": {"date": created(world, n) + 60, "ip": None, "user_agent": None},
        "type": "standard" if own else "express",
    }


def created(world: World, n: int) -> int:
    return world.start - 86400 if n == 0 else world.start + 86400 * 30 + n * 4 * 86400 + n
