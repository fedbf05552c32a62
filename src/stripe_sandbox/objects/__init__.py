"""How the company's numbers look as Stripe objects, at the pinned API version."""
