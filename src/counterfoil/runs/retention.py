"""How long what runs read is kept: some days or some runs, whichever is more, within a size."""

from __future__ import annotations

import shutil
from pathlib import Path

from counterfoil.errors import SettingsError
from counterfoil.logging import get_logger
from counterfoil.runs.checks.proof_context import remove_left
from counterfoil.runs.run_context import archive_of
from counterfoil.settings import Settings
from counterfoil.state.run import Run
from counterfoil.state.runs import Runs

_log = get_logger("counterfoil.runs")


def remove_expired(runs: Runs, settings: Settings) -> int:
    """Removes the archives that are kept no longer; how many there were.

    Those that are too old go first; then, while all of them together are too large, the oldest of runs that are over,
    but never the last that succeeded of a dataset. Those of runs that the state does not know any more go too.
    """
    remove_left(settings)
    for folder in _folders(settings):
        if not _is_known(runs, folder.name):
            shutil.rmtree(folder, ignore_errors=True)
            _log.info("archive of a forgotten run removed", run=folder.name)
    expired = runs.expired(settings.archive_days, settings.archive_runs)
    for run in expired:
        _remove(runs, settings, run)
    return len(expired) + _shrink(runs, settings)


def _shrink(runs: Runs, settings: Settings) -> int:
    sizes = {folder.name: _bytes(folder) for folder in _folders(settings)}
    total, removed = sum(sizes.values()), 0
    for run in runs.expired(0, 1):
        if total <= settings.archive_gigabytes * 1e9:
            break
        total -= sizes.get(run.id, 0)
        _remove(runs, settings, run)
        removed += 1
    return removed


def _remove(runs: Runs, settings: Settings, run: Run) -> None:
    shutil.rmtree(archive_of(settings, run.id), ignore_errors=True)
    runs.archive_removed(run.id)
    _log.info("archive of a run removed", run=run.id)


def _folders(settings: Settings) -> list[Path]:
    return [folder for folder in (settings.archive / "runs").glob("*") if folder.is_dir()]


def _is_known(runs: Runs, run: str) -> bool:
    try:
        runs.get(run)
    except SettingsError:
        return False
    return True


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
