"""Prints a table of the properties of each destination that tests verify: `make destinations`.

A number is the number of tests that passed. `–`: the destination does not declare the property, and rejects it.
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
#: Properties, and a pattern for the tests that verify each of them, in the form `file: name`.
PROPERTIES = {
    "replace": r"conformance: test_(replace_|rows_are_stored_in_|wide_text)|postgres: test_replace_keeps",
    "append": r"conformance: test_append_",
    "merge by key": r"merge: |parents: ",
    "partition": r"partition: ",
    "history, and the table as of an instant": r"history: test_(?!unsupported_)",
    "latest snapshot of an append table": r"latest: test_(?!only_)",
    "rollback": r"replay: ",
    "idempotent: a run counts once": r"(twice|request|replay|run)_counts_once",
    "atomic: kill -9 of the loader": r"(kills|warehouse): test_killed_load_|request_counts_once",
    "atomic: kill -9 of the server": r"kills: test_killed_server",
    "atomic: invalid parts, or a failing guard": r"changes?_nothing|rolls_back|ends_load_with",
    "canceled within two seconds": r"giving_up: ",
    "added, missing and changed columns": r"adds_columns|columns_are_added|different_column_type|has_columns_of",
    "hostile names": r"hostile_|invalid_table_name|reserved_column_name|would_truncate",
    "types: decimals, times, JSON, nulls, NUL": r"values_of_every_type|nul_characters|results_are_exact",
    "500 columns": r"five_hundred",
    "empty loads": r"without_parts|empty_range",
    "concurrent loads": r"_concurrently|while_query_is_read|(giving_up|postgres): test_waiting_load",
    "tables of other programs are unchanged": r"unmanaged_",
    "queries: one read-only SELECT": r"question: |: test_(query|invalid_query)_|while_query_is_read",
}


def property_key(nodeid: str) -> str:
    """The form of a test that the patterns match."""
    file, _, test = nodeid.partition("::")
    return f"{Path(file).stem.removeprefix('test_')}: {test}"


def _destination_of(key: str) -> str:
    """The destination that a test names: in its parameters, its file or its name."""
    if key.startswith("warehouse"):
        return "dlt"
    test = key.partition(": ")[2]
    named = [name for name in DESTINATIONS if re.search(rf"[\[-]{name}(_postgres)?\b", test)]
    named += [name for name in DESTINATIONS if name in key]
    return named[0] if named else "postgres" if "server" in key else "duckdb"


class Outcomes:
    """A pytest plugin that counts the outcomes of each property's tests by destination."""

    def __init__(self) -> None:
        self.passed: Counter[tuple[str, str]] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and not report.failed:
            return
        key = property_key(report.nodeid)
        destination = _destination_of(key)
        for name, pattern in PROPERTIES.items():
            if re.search(pattern, key):
                (self.failed if report.failed else self.passed)[name, destination] += 1

    def cell(self, name: str, destination: str) -> str:
        """The number of failed or passed tests, or a dash."""
        failed, passed = self.failed[name, destination], self.passed[name, destination]
        return f"**{failed} fail**" if failed else str(passed) if passed else "–"


def main() -> int:
    """Runs the tests, which report their failures first, and prints the table."""
    outcomes = Outcomes()
    os.environ["TESTS"] = "all"
    arguments = [str(Path(__file__).parent), "-p", "no:xdist", "-q", "--no-header", "-rN"]
    code = pytest.main(arguments, plugins=[outcomes])
    print(f"\n| property | {' | '.join(DESTINATIONS)} |\n|---|{'---|' * len(DESTINATIONS)}")
    for name in PROPERTIES:
        print(f"| {name} | {' | '.join(outcomes.cell(name, destination) for destination in DESTINATIONS)} |")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
