"""How the command line prints accounts, datasets, runs and rows."""
