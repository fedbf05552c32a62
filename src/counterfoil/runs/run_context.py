"""The parts of the state that runs use, and the folder of a run's archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from counterfoil.settings import Settings
from counterfoil.state.accounts import Accounts
from counterfoil.state.alerts import Alerts
from counterfoil.state.checks import Checks
from counterfoil.state.database import Clock
from counterfoil.state.datasets import Datasets
from counterfoil.state.hash_keys import HashKeys
from counterfoil.state.runs import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The parts of the state that the steps of a run read and write."""

    accounts: Accounts
    alerts: Alerts
    datasets: Datasets
    runs: Runs
    checks: Checks
    hash_keys: HashKeys
    settings: Settings
    now: Clock


def archive_of(settings: Settings, run: str) -> Path:
    """The folder of a run's archive."""
    return settings.archive / "runs" / run
