"""The reports, a file for each area of Stripe's API. Data only."""
