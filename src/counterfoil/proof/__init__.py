"""Checks of completeness: the rows read and loaded, compared with Stripe's figures. One file per family of checks."""
