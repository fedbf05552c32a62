"""Life: what happens in the company as its time passes, the same for the same seed."""
