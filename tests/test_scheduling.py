"""Tests that share an expensive fixture run in one worker."""

from __future__ import annotations

import pytest

from tests.scheduling import Together


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("tests/e2e/test_every_page.py::test_a", "tests/e2e/test_beginnings.py::test_b", True),
        ("tests/cli/test_prove_command.py::test_a", "tests/cli/test_prove_command.py::test_b[x]", True),
        ("tests/test_scheduling.py::test_a", "tests/test_scheduling.py::test_b", False),
    ],
)
def test_tests_with_shared_fixture_run_in_one_worker(one: str, other: str, together: bool) -> None:
    scope = object.__new__(Together)._split_scope
    assert (scope(one) == scope(other)) is together


def test_scheduler_is_registered(pytestconfig: pytest.Config) -> None:
    found = pytestconfig.hook.pytest_xdist_make_scheduler
    assert any(each.plugin_name.endswith("tests/conftest.py") for each in found.get_hookimpls())
