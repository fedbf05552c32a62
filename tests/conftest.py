"""Every test has a home of its own, no key of the developer's, and no reason to wait for Stripe's rates."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.gate import everything
from tests.objects import ENVIRONMENT, Objects, serving
from tests.postgres import Server, binaries, running

# nohup and background jobs of a shell start a suite with SIGINT ignored, which every process inherits that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A law that fails tells the example that it found and how to have it again. Looking for a smaller one takes minutes:
# HYPOTHESIS_PROFILE=shrink does it.
# No test is about time: a machine may be slow, or busy with the others.
_FIRST = (Phase.explicit, Phase.reuse, Phase.generate)
settings.register_profile("first", phases=_FIRST, print_blob=True, deadline=None)
settings.register_profile("shrink", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "first"))


@pytest.fixture(autouse=True)
def _no_variable_left_behind() -> Iterator[None]:
    """A variable that a test leaves set would be another test's setting."""
    before = _variables()
    yield
    assert _variables() == before


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture(autouse=True)
def _own_environment(_no_variable_left_behind: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_ACCOUNT", "COUNTERFOIL_LOG"):
        # Set first, so that what a command sets is taken back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("COUNTERFOIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COUNTERFOIL_RATE_GLOBAL", "100000")
    monkeypatch.setenv("COUNTERFOIL_RATE_ENDPOINT", "100000")
    monkeypatch.setenv("COUNTERFOIL_KEY_CONFIRM_SECONDS", "0")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for all tests of a process; each test takes a schema of its own."""
    if binaries() is None:
        pytest.skip("there is no Postgres here: apt-get install -y --no-install-recommends postgresql")
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def _store() -> Iterator[Objects]:
    with serving() as store:
        yield store


@pytest.fixture
def objects(_store: Objects, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """One object store for all tests of a process, with its keys in the environment; each test makes its buckets."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return _store


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not everything():
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.scheduling import Together

    return Together(config, log) if config.getvalue("dist") == "loadscope" else None
