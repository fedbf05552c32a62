"""Sixty pulls, merges and resumed pulls through a lying proxy; `make soak` runs two thousand."""

from __future__ import annotations

import pytest

from tests.lies.trials import trials


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [101, 105])
def test_success_loads_true_rows_and_failure_changes_nothing(seed: int) -> None:
    result = trials(seed, 30, scale=0.03, retry_seconds=3.0)
    assert result.wrong == []
    assert sum(result.lies.values()) > 20
    assert sum(count for name, count in result.outcomes.items() if name.endswith(": right")) > 5
