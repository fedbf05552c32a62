"""Output of accounts, datasets, runs and rows on the command line."""
