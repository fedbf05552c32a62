"""Which of these tests the gate makes: of destinations whose tests take long, it proves each property once.

`make destinations` makes all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.destinations.report import PROPERTIES, told_of

SLOW = ("monthly", "s3", "delta", "domo", "dlt")
#: Files of tests that all destinations share.
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


def left_out(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Those that the gate does not make; the same in every process, whatever the order."""
    proved: set[tuple[str, str]] = set()
    found = []
    for item in sorted(items, key=lambda one: one.nodeid):
        if item.path.parent != Path(__file__).parent:
            continue
        kind = next((name for name in SLOW if re.search(rf"[\[-]{name}\b", item.name)), None)
        if kind is not None and item.path.name in _SHARED:
            new = {(kind, name) for name, pattern in PROPERTIES.items() if re.search(pattern, told_of(item.nodeid))}
            if new <= proved:
                found.append(item)
            proved |= new
    return found
