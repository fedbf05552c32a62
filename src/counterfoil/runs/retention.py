"""Removes old archives: retention by days or number of runs, whichever is longer, and by total size."""

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
    """Removes expired archives; returns the number of runs that lost theirs.

    Archives that are too old are removed first. While the total size is too large, those of finished runs follow,
    oldest first, except for each dataset's last run that succeeded. Archives of deleted runs are removed too.
    """
    remove_left(settings)
    for folder in _folders(settings):
        if not _is_known(runs, folder.name):
            shutil.rmtree(folder, ignore_errors=True)
            _log.info("archive of a deleted run removed", run=folder.name)
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
