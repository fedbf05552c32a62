"""The checks of a run."""
