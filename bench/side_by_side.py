"""Pulls several reports in parallel in one process; they share the rate limits of one account.

`python -m bench.side_by_side URL FOLDER REPORT=SINCE…` prints the number of rows of each as JSON.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import counterfoil
from bench.processes import KEY


def main(url: str, folder: str, reports: dict[str, int]) -> None:
    with counterfoil.connect(KEY, api_base=url) as stripe, ThreadPoolExecutor(len(reports)) as threads:

        def pull(report: str) -> int:
            since = datetime.fromtimestamp(reports[report], UTC)
            return stripe.pull(report, to=f"duckdb:///{folder}/{report}.duckdb", since=since).rows

        print(json.dumps(dict(zip(reports, threads.map(pull, reports), strict=True))))


if __name__ == "__main__":
    given = dict(argument.split("=") for argument in sys.argv[3:])
    main(sys.argv[1], sys.argv[2], {report: int(since) for report, since in given.items()})
