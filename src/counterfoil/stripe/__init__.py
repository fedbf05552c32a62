"""The Stripe API client: the only package that sends requests to Stripe."""
