"""Simulated activity of the company as its time passes, reproducible from the seed."""
