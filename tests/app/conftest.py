"""A data center in a temporary home with a clock that stands still, and a simulated Stripe to ask."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterfoil.app.app import App, open_app
from counterfoil.settings import Settings, load_settings
from counterfoil.state import open_state
from counterfoil.state.accounts import Account
from stripe_sandbox import Sandbox
from tests.state.conftest import StandingClock

FULL = "sk_test_demo_full_4242"
LIVE = "sk_live_everything4242"
RESTRICTED = "rk_test_restricted4242"
#: What it may read of the seventeen reports: with the write permission on invoices goes the one to read.
GRANTED = ("rak_charge_read", "rak_customer_read", "rak_invoice_write", "rak_payout_read")


def prepared(sandbox: Sandbox) -> Sandbox:
    sandbox.control("keys", key=LIVE)
    sandbox.control("keys", key=RESTRICTED, permissions=list(GRANTED))
    return sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1) as serving:
        yield prepared(serving)


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """For a test that counts requests, or changes something."""
    with Sandbox(scale=0.1) as serving:
        yield prepared(serving)


@pytest.fixture(scope="session")
def made_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh state's file, made once: the tests copy it."""
    home = tmp_path_factory.mktemp("made")
    open_state(Settings(home=home, state_url=None)).close()
    return home / "state.db"


@pytest.fixture(autouse=True)
def _no_state_of_the_developers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_URL", "SECRET_KEY"):
        monkeypatch.delenv(f"COUNTERFOIL_{name}", raising=False)
        monkeypatch.delenv(f"COUNTERFOIL_{name}_FILE", raising=False)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def app(made_state: Path, clock: StandingClock) -> Iterator[App]:
    settings = load_settings()
    settings.home.mkdir(mode=0o700)
    shutil.copy(made_state, settings.home / "state.db")
    with open_app(settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def shop(app: App, sandbox: Sandbox) -> Account:
    return app.accounts.add("Shop", FULL, api_base=sandbox.url)
