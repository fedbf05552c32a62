"""Counterfoil: Stripe reports as typed, complete, current tables."""

__version__ = "0.1.0"
