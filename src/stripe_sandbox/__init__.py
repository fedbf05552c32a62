"""A simulated Stripe over HTTP, with an invented company in it. Shares no code with the rest of Counterfoil."""

from stripe_sandbox.sandbox import LIVELY, Sandbox, serve

__all__ = ["LIVELY", "Sandbox", "serve"]
