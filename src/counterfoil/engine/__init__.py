"""Scheduling: due datasets become runs, runs wait in a queue by account, and a worker executes their attempts.

No module here depends on Stripe, a destination or a table of the state; the protocols in `steps` and `dispatch` define
what they need.
"""
