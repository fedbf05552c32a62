"""Renders the company's data as Stripe objects of the pinned API version."""
