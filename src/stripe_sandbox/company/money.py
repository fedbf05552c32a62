"""The currencies of the company, as amounts in minor units."""

from __future__ import annotations

CURRENCIES = ("usd", "eur", "jpy", "kwd")
USD, EUR, JPY, KWD = range(4)

#: What 100 US cents are worth in each currency's minor unit, roughly.
_RATES = (100, 92, 150, 310)
#: Days until a card payment is available.
SETTLEMENT_DAYS = (2, 3, 4, 7)
_FIXED_FEES = (30, 25, 40, 100)
#: Days until a payout is on the bank account.
ARRIVAL_DAYS = (2, 2, 7, 7)
DISPUTE_FEES = (1500, 2000, 1500, 5000)


def localized(cents: int, currency: int) -> int:
    """A price in US cents as a price in a currency; three-digit currencies end in 0, as Stripe asks."""
    amount = cents * _RATES[currency] // 100
    return amount - amount % 10 if currency == KWD else amount


def rounded(amount: int, currency: int) -> int:
    return amount - amount % 10 if currency == KWD else amount


def processing_fee(amount: int, currency: int) -> int:
    return min(amount, rounded(amount * 29 // 1000 + _FIXED_FEES[currency], currency))
