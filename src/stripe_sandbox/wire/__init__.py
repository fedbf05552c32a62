"""How Stripe behaves over HTTP: parameters, lists, expansion, errors, keys, limits."""
