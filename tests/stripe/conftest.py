"""The server that stands in for Stripe, clients of it, and an event loop whose time passes at once."""

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
    """No limit that a test could notice."""
    return Settings(rate_global=1e6, rate_endpoint=1e6, rate_share=1)


@pytest.fixture
def make_client(server: StripeServer, settings: Settings) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(key: str = KEY, **chosen: Any) -> Client:
        given = {"api_base": server.url, "settings": settings, "backoff": Backoff(tries=6, base_seconds=0)} | chosen
        made.append(Client(key, **given))
        return made[-1]

    yield make
    for client in made:
        async_bridge.run(client.close())


class _Instant(selectors.DefaultSelector):
    """Instead of waiting it moves the loop's clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everyone waits and no timer is set")
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
    """Runs a coroutine on a loop whose timers fire at once, in their order."""

    def run(coroutine: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
            return runner.run(coroutine)

    return run
