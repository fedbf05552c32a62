"""Runs many datasets that are due in the same minute, and measures duration, memory and duplicate runs.

`python -m bench.many_datasets [--datasets N]` starts a service with N due datasets of one simulated account and prints
the result as JSON. The exit code is 1 if a run was lost or duplicated.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.processes import COUNTERFOIL, KEY, UNLIMITED
from counterfoil.app.app import App, open_app
from counterfoil.schedules import parse
from counterfoil.settings import Settings
from stripe_sandbox import Sandbox

_REPORTS = ("coupons", "plans", "refunds", "customers")
_MOST_SECONDS = 900


def measure(datasets: int) -> dict[str, Any]:
    """Runs the service; seconds in the result count from its start."""
    with tempfile.TemporaryDirectory() as folder, Sandbox(scale=0.05) as sandbox:
        home = Path(folder)
        _prepare(home, sandbox.url, datasets)
        with open_app(Settings(home=home)) as app, _service(home) as service:
            started = time.monotonic()
            enqueued = done = None
            peak = 0
            while done is None and time.monotonic() - started < _MOST_SECONDS:
                runs = app.records.runs.list(limit=2 * datasets)
                waited = time.monotonic() - started
                if enqueued is None and len(runs) >= datasets:
                    enqueued = waited
                if len(runs) >= datasets and all(run.status not in ("queued", "running", "waiting") for run in runs):
                    done = waited
                peak = max(peak, _resident(service.pid))
                time.sleep(0.5)
            runs = app.records.runs.list(limit=2 * datasets)
            by_dataset = Counter(run.dataset for run in runs)
            return {
                "datasets": datasets,
                "enqueued_seconds": enqueued and round(enqueued, 1),
                "done_seconds": done and round(done, 1),
                "statuses": dict(Counter(run.status for run in runs)),
                "lost": datasets - len(by_dataset),
                "doubled": sum(count > 1 for count in by_dataset.values()),
                "peak_bytes": peak,
            }


def _prepare(home: Path, api_base: str, datasets: int) -> None:
    """Creates a state in which all datasets were due in the same minute, a minute ago."""
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    settings = Settings(home=home)
    with open_app(settings) as app:
        app.accounts.add("Shop", KEY, api_base=api_base)
    schedule = parse(f"daily at {due:%H:%M}", "UTC")
    with open_app(settings, clock=lambda: due - timedelta(minutes=5)) as app:
        _create(app, datasets, schedule)


def _create(app: App, datasets: int, schedule: Any) -> None:
    for number in range(datasets):
        app.datasets.create(
            f"Dataset {number:04}",
            account="Shop",
            report=_REPORTS[number % len(_REPORTS)],
            to=f"duckdb:///d{number % 20:02}.duckdb",
            table=f"t{number:04}",
            schedule=schedule,
        )


@contextmanager
def _service(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **UNLIMITED, "COUNTERFOIL_HOME": str(home)}
    with subprocess.Popen([COUNTERFOIL, "serve", "--port", "0"], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Returns 0 if each dataset ran once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--datasets", type=int, default=1_000)
    found = measure(parser.parse_args().datasets)
    print(json.dumps(found))
    return 0 if found["statuses"] == {"succeeded": found["datasets"]} and not found["doubled"] else 1


if __name__ == "__main__":
    sys.exit(main())
