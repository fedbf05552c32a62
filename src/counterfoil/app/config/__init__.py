"""Accounts and datasets as a configuration file."""
