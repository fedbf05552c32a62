"""Selects the tests of `make test`. `make conformance` runs all: every report, every destination, slow tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

#: One report of each kind of source, and two of the most used reports.
SAMPLE = frozenset({"charges", "subscriptions", "invoice_line_items", "transfers", "upcoming_invoices", "balance"})


#: Files, tests and single parameters that take long, while others in `make test` check the same behavior.
SLOW = tuple(
    line
    for line in Path(__file__).with_name("slow.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def is_thorough(item: pytest.Item) -> bool:
    """Whether only `make conformance` runs the test."""
    return item.get_closest_marker("thorough") is not None or item.nodeid.startswith(SLOW)


def everything() -> bool:
    """Whether all tests are requested."""
    return os.environ.get("TESTS") == "all"


def sampled(reports: Iterable[Any], key: Callable[[Any], str] = str) -> list[Any]:
    """Parameters for a test of each report; marks reports outside the sample as `thorough`."""
    return [
        pytest.param(each, marks=() if key(each) in SAMPLE else pytest.mark.thorough, id=key(each)) for each in reports
    ]
