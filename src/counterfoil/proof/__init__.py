"""Is it complete: what was read and loaded, compared with what Stripe says. One file for each family of checks."""
