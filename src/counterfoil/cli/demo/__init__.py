"""`counterfoil demo`: the service with a simulated Stripe."""
