"""An app in a temporary home with a manual clock, and a simulated Stripe."""

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
#: The permissions of the restricted key. The write permission for invoices includes reading them.
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
    """A separate sandbox for tests that count requests or change it."""
    with Sandbox(scale=0.1) as serving:
        yield prepared(serving)


@pytest.fixture(scope="session")
def template_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new state, created once and copied by each test."""
    home = tmp_path_factory.mktemp("template")
    open_state(Settings(home=home, state_url=None)).close()
    return home / "state.db"


@pytest.fixture(autouse=True)
def _ignore_state_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_URL", "SECRET_KEY"):
        monkeypatch.delenv(f"COUNTERFOIL_{name}", raising=False)
        monkeypatch.delenv(f"COUNTERFOIL_{name}_FILE", raising=False)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def app(template_state: Path, clock: StandingClock) -> Iterator[App]:
    settings = load_settings()
    settings.home.mkdir(mode=0o700)
    shutil.copy(template_state, settings.home / "state.db")
    with open_app(settings, clock=clock) as opened:
        yield opened


@pytest.fixture
def shop(app: App, sandbox: Sandbox) -> Account:
    return app.accounts.add("Shop", FULL, api_base=sandbox.url)
