"""The number of decimal digits of each currency, for formatting amounts."""

from counterfoil.columns.money import DIGITS as CURRENCY_DIGITS

__all__ = ["CURRENCY_DIGITS"]
