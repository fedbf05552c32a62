"""A process that makes the steps of runs, for a soak that kills it.

A run's id, an attempt's number and Stripe's time come in, the run's status goes out.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from counterfoil.app.app import open_app
from counterfoil.engine.steps import ORDER
from counterfoil.runs.attempt import Attempt


def main() -> None:
    """Until its input ends."""
    now = datetime.now(UTC)
    with open_app(clock=lambda: now) as app:
        attempt = Attempt(app.records)
        for line in sys.stdin:
            run, number, instant = line.split()
            now = datetime.fromtimestamp(int(instant), UTC)
            for name in ORDER:
                try:
                    getattr(attempt, name)(run, int(number))
                except Exception as error:  # noqa: BLE001 - as the engine does
                    attempt.failed(run, int(number), error)
                    break
            print(app.records.runs.get(run).status, flush=True)


if __name__ == "__main__":
    main()
