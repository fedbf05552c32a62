"""Decides whether a run gets another attempt."""

from __future__ import annotations

from datetime import datetime, timedelta

from counterfoil.errors import CounterfoilError, TransientError
from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Run


def is_retried(dataset: Dataset, run: Run, attempt: int, error: CounterfoilError, *, now: datetime) -> bool:
    """True for a transient error, within the dataset's retries and the deadline, unless the run is canceled."""
    retry = dataset.retry
    if not isinstance(error, TransientError) or not retry.on or (run.trigger == "manual" and not retry.manual):
        return False
    in_time = run.deadline_at is None or now + timedelta(minutes=retry.every_minutes) < run.deadline_at
    return attempt < retry.attempts and in_time and not run.cancel_requested
