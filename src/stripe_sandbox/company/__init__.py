"""One invented company: its numbers in compact arrays, the same for the same seed."""
