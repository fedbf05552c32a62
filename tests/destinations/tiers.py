"""Selects the tests of the gate: for destinations with slow tests, it verifies each property once.

`make destinations` runs all tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.destinations.report import PROPERTIES, property_key

SLOW = ("monthly", "s3", "delta", "domo", "dlt")
#: Test files that all destinations share.
_SHARED = frozenset(
    f"test_{name}.py"
    for name in (
        "conformance",
        "drop",
        "giving_up",
        "kills",
        "latest",
        "merge",
        "parents",
        "partition",
        "question",
        "replay",
    )
)


def deselected(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Tests that the gate omits. The selection is the same in every process and for every order."""
    verified: set[tuple[str, str]] = set()
    omitted = []
    for item in sorted(items, key=lambda one: one.nodeid):
        if item.path.parent != Path(__file__).parent:
            continue
        kind = next((name for name in SLOW if re.search(rf"[\[-]{name}\b", item.name)), None)
        if kind is not None and item.path.name in _SHARED:
            new = {
                (kind, name) for name, pattern in PROPERTIES.items() if re.search(pattern, property_key(item.nodeid))
            }
            if new <= verified:
                omitted.append(item)
            verified |= new
    return omitted
