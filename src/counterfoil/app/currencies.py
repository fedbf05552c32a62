"""How many digits a currency has, for those who show amounts."""

from counterfoil.columns.money import DIGITS as CURRENCY_DIGITS

__all__ = ["CURRENCY_DIGITS"]
