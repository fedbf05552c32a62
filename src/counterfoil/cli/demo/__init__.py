"""`counterfoil demo`: the page on a simulated Stripe."""
