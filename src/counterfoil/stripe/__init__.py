"""WHERE FROM: the only package that speaks HTTP to Stripe."""
