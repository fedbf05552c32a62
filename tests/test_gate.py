"""The list of tests that only `make conformance` runs names existing tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gate import SLOW

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("entry", SLOW)
def test_slow_entry_names_a_test(entry: str) -> None:
    file, _, test = entry.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not test or f"def {test.partition('[')[0]}(" in text
