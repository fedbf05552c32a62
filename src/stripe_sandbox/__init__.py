"""A simulated Stripe API over HTTP with the data of an invented company. It shares no code with Counterfoil."""

from stripe_sandbox.sandbox import LIVELY, Sandbox, serve

__all__ = ["LIVELY", "Sandbox", "serve"]
