"""WHEN: due datasets become runs, runs wait in a queue by account, and one attempt after another is worked off.

Nothing here knows Stripe, a destination or a table of the state: what it needs of them are the protocols in `steps`
and `due`.
"""
