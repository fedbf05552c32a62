"""Deletion of archives when a dataset is removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from counterfoil.state import State
from counterfoil.state.runs import Runs


@contextmanager
def delete_archives(state: State, datasets: Iterable[str]) -> Iterator[None]:
    """Deletes the archives of the datasets (by id) after the block has removed these from the state."""
    from counterfoil.runs.run_context import archive_of

    runs = Runs(state)
    folders = [archive_of(state.settings, run.id) for one in datasets for run in runs.list(one, limit=1_000_000)]
    yield
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
