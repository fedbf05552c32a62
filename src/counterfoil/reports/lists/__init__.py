"""The reports, one file per area of the Stripe API. Data only."""
