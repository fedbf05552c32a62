"""Isolates tests: a separate home directory, no settings of the developer, and no waiting for Stripe's rate limits."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.gate import everything, is_thorough
from tests.objects import ENVIRONMENT, Objects, serving
from tests.postgres import Server, binaries, running

# nohup and background jobs of a shell start the tests with SIGINT ignored, and all child processes inherit this.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A failed property test prints its example and how to reproduce it. Shrinking the example takes minutes, so only
# HYPOTHESIS_PROFILE=shrink does that.
# Examples have no deadline: the machine can be slow, or busy with other tests.
_FIRST = (Phase.explicit, Phase.reuse, Phase.generate)
settings.register_profile("first", phases=_FIRST, print_blob=True, deadline=None)
settings.register_profile("shrink", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "first"))


@pytest.fixture(autouse=True)
def _unchanged_environment() -> Iterator[None]:
    """Fails a test that leaves an environment variable changed, which would affect other tests."""
    before = _variables()
    yield
    assert _variables() == before


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture(autouse=True)
def _own_environment(_unchanged_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_ACCOUNT", "COUNTERFOIL_LOG"):
        # Set first, so that monkeypatch also removes a value that a command sets.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("COUNTERFOIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COUNTERFOIL_RATE_GLOBAL", "100000")
    monkeypatch.setenv("COUNTERFOIL_RATE_ENDPOINT", "100000")
    monkeypatch.setenv("COUNTERFOIL_KEY_CONFIRM_SECONDS", "0")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One server for all tests of a process; each test uses a separate schema."""
    if binaries() is None:
        pytest.skip("Postgres is not installed: apt-get install -y --no-install-recommends postgresql")
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def _store() -> Iterator[Objects]:
    with serving() as store:
        yield store


@pytest.fixture
def objects(_store: Objects, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """One object store for all tests of a process, with its keys in the environment; each test creates its buckets."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return _store


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not everything():
        config.hook.pytest_deselected(items=[item for item in items if is_thorough(item)])
        items[:] = [item for item in items if not is_thorough(item)]


def pytest_collection_finish() -> None:
    """Excludes what was imported and collected from garbage collection, which takes a tenth of the time otherwise."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.scheduling import Together

    return Together(config, log) if config.getvalue("dist") == "loadscope" else None
