"""Checks a large, correct account, and measures false alarms, memory and time.

`python -m bench.proving [--scale N] [--recount N|all]` reads a simulated account into one DuckDB file, checks each
dataset, and prints the result as a Markdown table. The exit code is 1 if a check did not pass.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import COUNTERFOIL, KEY, UNLIMITED, Spent, run, stripe
from counterfoil.app.app import open_app
from counterfoil.proof.check_selection import BESIDES, SHARE
from counterfoil.settings import Settings

#: Reports whose tables refer to one another, in the order of the runs.
REPORTS = ("customers", "charges", "refunds", "transfers", "balance_transactions")

_CHEAP = re.compile(r"^Proved: .* with ([\d,]+) requests?\.$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The results of a run and of the checks after it."""

    report: str
    rows: int
    #: Requests of the run, and of the cheap checks that follow it.
    requests: int
    cheap: int
    currencies: tuple[str, ...]
    results: dict[str, int]
    run: Spent
    proof: Spent
    proof_requests: int
    #: Descriptions of the applicable checks that did not pass.
    reasons: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        return set(self.results) <= {"PASS", "NOT APPLICABLE"}

    def cells(self) -> Iterator[str]:
        """A row of the table."""
        yield f"`{self.report}`"
        yield f"{self.rows:,}"
        yield f"{self.requests:,}"
        yield f"{self.cheap:,}"
        yield f"{self.run.seconds:.0f}"
        yield f"{self.run.peak_bytes / 1e6:.0f}"
        yield ", ".join(f"{number} {result}" for result, number in self.results.items())
        yield f"{self.proof_requests:,}"
        yield f"{self.proof.seconds:.0f}"
        yield f"{self.proof.peak_bytes / 1e6:.0f}"


_HEADS = (
    "dataset", "rows", "requests", "of these, cheap checks", "seconds", "MB",
    "checks", "check requests", "check seconds", "check MB",
)  # fmt: skip


def measure(scale: float, recount: str, reports: Sequence[str]) -> Iterator[Proved]:
    """Runs all datasets, then checks one after the other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, stripe(scale) as sandbox:
        folder = Path(name)
        with open_app(Settings(home=folder / "home")) as app:
            app.accounts.add("Shop", KEY, api_base=sandbox.url)
            for report in reports:
                app.datasets.create(report, account="Shop", report=report, to=f"duckdb:///{folder}/shop.duckdb")
        runs = {}
        for report in reports:
            print(f"Reading {report}", file=sys.stderr)
            runs[report] = run([COUNTERFOIL, "run", report, "--json"], UNLIMITED, folder=folder)
        for report in reports:
            print(f"Checking {report}", file=sys.stderr)
            command = [COUNTERFOIL, "prove", report, "--recount", recount, "--seed", "7", "--json"]
            proof = run(command, UNLIMITED, folder=folder)
            statement = proof.json()
            with open_app(Settings(home=folder / "home")) as app:
                found, lines = app.runs.get(statement["run"]), app.runs.lines(statement["run"])
            results = [check["result"] for check in statement["checks"]]
            yield Proved(
                report=report,
                rows=found.counts.read,
                requests=sum(found.requests.values()),
                cheap=next(int(spent[1]) for line in lines if (spent := _CHEAP.search(line.message))),
                currencies=tuple(sorted(_currencies(statement["checks"]))),
                results={result: results.count(result) for result in sorted(set(results))},
                run=runs[report],
                proof=proof,
                proof_requests=statement["requests"],
                reasons=tuple(
                    f"{check['family']}: {check['name']}: {check['result']}: {check['reason']}"
                    for check in statement["checks"]
                    if check["result"] not in ("PASS", "NOT APPLICABLE")
                ),
            )


def _currencies(checks: Iterable[Mapping[str, Any]]) -> set[str]:
    """The currencies of the compared balances."""
    return {code for check in checks for code in check["figures"].get("currencies", {})}


def main() -> int:
    """Returns 0 if all checks passed and the cheap checks stayed within their budget of requests."""
    parser = argparse.ArgumentParser(prog="python -m bench.proving", description="Checks a large account.")
    parser.add_argument("--scale", type=float, default=350, help="size of the account; 350 is a million charges")
    parser.add_argument("--recount", default="3", help="number of windows to recount, or all")
    parser.add_argument("--reports", nargs="+", choices=REPORTS, default=REPORTS)
    given = parser.parse_args()
    passed = True
    print(f"| {' | '.join(_HEADS)} |\n|{'---|' * len(_HEADS)}")
    for found in measure(given.scale, given.recount, given.reports):
        print(f"| {' | '.join(found.cells())} |", flush=True)
        if found.currencies:
            print(f"{found.report}: balances in {', '.join(found.currencies)}", file=sys.stderr)
        for reason in found.reasons:
            print(f"{found.report}: {reason}", file=sys.stderr)
        passed &= found.is_right and found.cheap <= BESIDES + SHARE * (found.requests - found.cheap)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
