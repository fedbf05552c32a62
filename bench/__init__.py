"""Measurements, side by side with the bare floor in the same run: `python -m bench`, or `make bench`."""
