"""The company's currencies. Amounts are in minor units."""

from __future__ import annotations

CURRENCIES = ("usd", "eur", "jpy", "kwd")
USD, EUR, JPY, KWD = range(4)

#: The approximate value of 100 US cents in minor units of each currency.
_RATES = (100, 92, 150, 310)
#: Days until a card payment is available.
SETTLEMENT_DAYS = (2, 3, 4, 7)
_FIXED_FEES = (30, 25, 40, 100)
#: Days until a payout arrives in the bank account.
ARRIVAL_DAYS = (2, 2, 7, 7)
DISPUTE_FEES = (1500, 2000, 1500, 5000)


def localized(cents: int, currency: int) -> int:
    """Converts a price from US cents; amounts in three-decimal currencies end in 0, as Stripe requires."""
    amount = cents * _RATES[currency] // 100
    return amount - amount % 10 if currency == KWD else amount


def rounded(amount: int, currency: int) -> int:
    return amount - amount % 10 if currency == KWD else amount


def processing_fee(amount: int, currency: int) -> int:
    return min(amount, rounded(amount * 29 // 1000 + _FIXED_FEES[currency], currency))
