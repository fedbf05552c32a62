"""The simulated Stripe in the service: it starts on demand, and with the service if an account uses it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from counterfoil.app.app import open_app
from counterfoil.cli.demo.embedded_sandbox import SandboxAtHand
from counterfoil.errors import SettingsError
from counterfoil.settings import Settings


def listening(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def at_hand(port: int) -> Iterator[SandboxAtHand]:
    with closing(SandboxAtHand(port)) as opened:
        yield opened


def test_sandbox_starts_at_first_call_and_resumes_for_its_account(
    at_hand: SandboxAtHand, port: int, tmp_path: Path
) -> None:
    with open_app(Settings(home=tmp_path)) as app:
        at_hand.resume(app.accounts.list())
        assert not listening(port)
        address, key = at_hand()
        assert at_hand() == (address, key)
        app.accounts.add("Sandbox", key, api_base=address)
        at_hand.close()
        assert not listening(port)
        with closing(SandboxAtHand(port)) as later:
            later.resume(app.accounts.list())
            assert app.accounts.check("Sandbox").status == "ok"


def test_port_in_use_is_reported_with_the_url(at_hand: SandboxAtHand, port: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        with pytest.raises(SettingsError, match=f"port {port}") as raised:
            at_hand()
    assert at_hand.url in str(raised.value.hint)
