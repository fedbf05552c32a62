"""The checks that belong to a run."""
