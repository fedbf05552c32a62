"""What the steps of runs read and write of the state, and where a run keeps what it read."""

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
    """What the steps read and write of the state."""

    accounts: Accounts
    alerts: Alerts
    datasets: Datasets
    runs: Runs
    checks: Checks
    hash_keys: HashKeys
    settings: Settings
    now: Clock


def archive_of(settings: Settings, run: str) -> Path:
    """The folder of what a run read."""
    return settings.archive / "runs" / run
