"""A server in place of Stripe, clients of it, and an event loop with virtual time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from stripe_server import KEY, StripeServer

from counterfoil.http import async_bridge
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.retries import Backoff

T = TypeVar("T")


@pytest.fixture
def server() -> Iterator[StripeServer]:
    server = StripeServer()
    yield server
    server.stop()


@pytest.fixture
def settings() -> Settings:
    """Limits too high to affect a test."""
    return Settings(rate_global=1e6, rate_endpoint=1e6, rate_share=1)


@pytest.fixture
def make_client(server: StripeServer, settings: Settings) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(key: str = KEY, **options: Any) -> Client:
        arguments = {
            "api_base": server.url,
            "settings": settings,
            "backoff": Backoff(tries=6, base_seconds=0),
        } | options
        clients.append(Client(key, **arguments))
        return clients[-1]

    yield make
    for client in clients:
        async_bridge.run(client.close())


class _Instant(selectors.DefaultSelector):
    """Moves the clock of the loop instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("all tasks wait and no timer is set")
        self.now += max(0.0, timeout)
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self) -> float:
        return self._instant.now


@pytest.fixture
def in_virtual_time() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine on a loop whose timers fire at once, in order."""

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
            return runner.run(coroutine)

    return run
