"""Stripe's behavior over HTTP: parameters, lists, expansion, errors, keys, limits."""
