"""Tables in a Postgres schema."""
