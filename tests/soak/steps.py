"""A process that executes the steps of runs, for a soak test that kills it.

It reads the id of a run, the number of an attempt and Stripe's time, and prints the status of the run.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from counterfoil.app.app import open_app
from counterfoil.engine.steps import ORDER
from counterfoil.runs.attempt import Attempt


def main() -> None:
    """Processes lines until the input ends."""
    now = datetime.now(UTC)
    with open_app(clock=lambda: now) as app:
        attempt = Attempt(app.records)
        for line in sys.stdin:
            run, number, instant = line.split()
            now = datetime.fromtimestamp(int(instant), UTC)
            for name in ORDER:
                try:
                    getattr(attempt, name)(run, int(number))
                except Exception as error:  # noqa: BLE001 - like the engine
                    attempt.failed(run, int(number), error)
                    break
            print(app.records.runs.get(run).status, flush=True)


if __name__ == "__main__":
    main()
