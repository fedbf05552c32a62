"""Benchmarks, compared with the floors of the same run: `python -m bench`, or `make bench`."""
