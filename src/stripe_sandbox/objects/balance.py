"""The balance object: available, pending and reserved amounts per currency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.objects.json import Json


def balance(sums: Mapping[str, tuple[Sequence[int], Sequence[int]]]) -> Json:
    """Renders the available and pending amounts per currency, by balance type."""
    available, pending = sums["payments"]
    held = sums["refund_and_dispute_prefunding"]
    return {
        "object": "balance",
        "available": [_typed(n, amount) for n, amount in enumerate(available)],
        "connect_reserved": [_bare(0, 0), _bare(1, 1250)],
        "instant_available": [_typed(0, max(0, available[0])) | {"net_available": []}],
        "issuing": {"available": [_bare(0, sums["issuing"][0][0])]},
        "livemode": False,
        "pending": [_typed(n, amount) for n, amount in enumerate(pending)],
        "refund_and_dispute_prefunding": {"available": [_bare(0, held[0][0])], "pending": [_bare(0, held[1][0])]},
    }


def _bare(currency: int, amount: int) -> Json:
    return {"amount": amount, "currency": CURRENCIES[currency]}


def _typed(currency: int, amount: int) -> Json:
    """In euros, a part comes from bank debits; in other currencies, the whole amount comes from cards."""
    banked = amount // 8 if CURRENCIES[currency] == "eur" else 0
    types = {"bank_account": banked, "card": amount - banked} if banked else {"card": amount}
    return _bare(currency, amount) | {"source_types": types}
