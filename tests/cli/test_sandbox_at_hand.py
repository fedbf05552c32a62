"""The simulated Stripe within the service: started when it is wanted, and again where an account reads it."""

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
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def at_hand(port: int) -> Iterator[SandboxAtHand]:
    with closing(SandboxAtHand(port)) as made:
        yield made


def test_it_runs_from_the_first_call_on_and_again_while_an_account_reads_it(
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


def test_a_port_that_is_taken_is_told_with_a_way_on(at_hand: SandboxAtHand, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(SettingsError, match=f"port {port}") as raised:
            at_hand()
    assert at_hand.url in str(raised.value.hint)
