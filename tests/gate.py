"""What `make test` leaves out where a suite grows with the reports; `make conformance` runs all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

#: One report of each source shape, and two that most people read.
SAMPLE = frozenset({"charges", "subscriptions", "invoice_line_items", "transfers", "upcoming_invoices", "balance"})


def everything() -> bool:
    """Whether all tests are wanted."""
    return os.environ.get("TESTS") == "all"


def sampled(reports: Iterable[Any], key: Callable[[Any], str] = str) -> list[Any]:
    """Parameters for a test of each report: those outside of the sample are marked `thorough`."""
    return [
        pytest.param(each, marks=() if key(each) in SAMPLE else pytest.mark.thorough, id=key(each)) for each in reports
    ]
