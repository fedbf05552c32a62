"""Which destination has which property, as the tests of this folder prove it: `make destinations` prints a table.

A number is how many tests proved it just now. `–`: the destination does not declare it, and refuses it.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DESTINATIONS = ("duckdb", "postgres", "parquet", "monthly", "s3", "delta", "domo", "dlt")
#: A property, and the tests that prove it: where `file: name` has the pattern in it.
PROPERTIES = {
    "replace": r"conformance: test_(replace_|no_parts_make|rows_stand|wide_text)|postgres: test_what_others_made",
    "append": r"conformance: test_(append_|no_parts_appended)",
    "merge by key": r"merge: |parents: ",
    "partition": r"partition: ",
    "history, and the table as of an instant": r"history: test_(?!a_destination_that_keeps_no)",
    "latest snapshot of an append table": r"latest: test_(?!only_a)",
    "going back to an earlier load": r"replay: ",
    "idempotent: a run counts once": r"twice_counts_once|at_any_request_counts_once|given_twice|given_to_all_of_them",
    "atomic: kill -9 of the loader": r"(kills|domo_failures|warehouse): test_a_load_(into_postgres_)?that_is_killed",
    "atomic: kill -9 of the server": r"kills: test_a_server_that_is_killed",
    "atomic: wrong parts, or a guard that raises": r"change_nothing|changes_nothing|rolls_back|ends_the_load",
    "stopped within two seconds": r"giving_up: ",
    "columns come, go, and change their type": r"columns_are_added|adds_columns|another_type|columns_are_those",
    "hostile names": r"is_only_a_name|only_names|name_that|names_that|by_whose_name|_ids_are_only",
    "types: decimals, times, JSON, nulls, NUL": r"values_of_every_type|nul_characters|answered_exactly",
    "500 columns": r"five_hundred",
    "empty loads": r"no_parts|holds_nothing_any_more",
    "loads side by side": r"side_by_side|goes_on_while|waits_for_another|that_waits_says",
    "tables that are not ours stay": r"not_ours|somebody_elses|no_table_is_never|stands_where",
    "queries: one SELECT that only reads": r"question: |a_query_",
}


def told_of(nodeid: str) -> str:
    """A test as the patterns see it."""
    file, _, test = nodeid.partition("::")
    return f"{Path(file).stem.removeprefix('test_')}: {test}"


class Outcomes:
    """What came of each property's tests, by destination; a plugin of pytest."""

    def __init__(self) -> None:
        self.passed: Counter[tuple[str, str]] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and not report.failed:
            return
        told = told_of(report.nodeid)
        test = told.partition(": ")[2]
        places = [name for name in DESTINATIONS if re.search(rf"[\[-]{name}(_postgres)?\b", test)]
        if told.startswith("warehouse"):
            places = ["dlt"]
        if not places:
            places = [
                next((name for name in DESTINATIONS if name in told), "postgres" if "server" in told else "duckdb")
            ]
        for name, pattern in PROPERTIES.items():
            if re.search(pattern, told):
                (self.failed if report.failed else self.passed)[name, places[0]] += 1

    def cell(self, name: str, place: str) -> str:
        """A number, what failed, or nothing."""
        failed, passed = self.failed[name, place], self.passed[name, place]
        return f"**{failed} fail**" if failed else str(passed) if passed else "–"


def main() -> int:
    """Runs the tests, and prints the table; what fails is told before it."""
    outcomes = Outcomes()
    os.environ["TESTS"] = "all"
    arguments = [str(Path(__file__).parent), "-p", "no:xdist", "-q", "--no-header", "-rN"]
    code = pytest.main(arguments, plugins=[outcomes])
    print(f"\n| property | {' | '.join(DESTINATIONS)} |\n|---|{'---|' * len(DESTINATIONS)}")
    for name in PROPERTIES:
        print(f"| {name} | {' | '.join(outcomes.cell(name, place) for place in DESTINATIONS)} |")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
