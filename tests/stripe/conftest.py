"""A small server that answers by a function, and an event loop whose time passes at once."""

from __future__ import annotations

import asyncio
import selectors
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from aiohttp import web

from counterfoil.settings import Settings
from counterfoil.stripe import loop
from counterfoil.stripe.client import Backoff, Client

T = TypeVar("T")
KEY = "sk_test_51AbcDefGhiJklMnoPqrStu4242"


@dataclass(frozen=True)
class Asked:
    """A request as the server saw it."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    form: list[tuple[str, str]]


@dataclass(frozen=True)
class Says:
    """What the server is to answer. `cut` sends that much of the body and hangs up."""

    status: int = 200
    body: bytes = b'{"object": "list", "data": [], "has_more": false}'
    headers: dict[str, str] = field(default_factory=lambda: {"Request-Id": "req_1", "Content-Type": "application/json"})
    cut: int | None = None


Answers = Callable[[Asked], Says]


class StripeServer:
    """On loopback, in a thread of its own; `answers` may be exchanged at any time."""

    def __init__(self, certificate: ssl.SSLContext | None = None) -> None:
        self.answers: Answers = lambda asked: Says()
        self.asked: list[Asked] = []
        self.connections: set[object] = set()
        self._certificate = certificate
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._certificate).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stopped.wait()
        await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        form = [(key, str(value)) for key, value in (await request.post()).items()]
        headers = {str(key): value for key, value in request.headers.items()}
        self.connections.add(request.transport)
        self.asked.append(Asked(request.method, request.path, list(request.query.items()), headers, form))
        says = self.answers(self.asked[-1])
        if says.cut is None:
            return web.Response(status=says.status, body=says.body, headers=says.headers)
        assert request.transport is not None
        head = f"HTTP/1.1 {says.status} OK\r\nContent-Length: {len(says.body)}\r\n\r\n".encode()
        request.transport.write((head if says.cut else b"") + says.body[: says.cut])
        request.transport.close()
        return web.Response()


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
        given = {"api_base": server.url, "settings": settings, "backoff": Backoff(base_seconds=0)} | chosen
        made.append(Client(key, **given))
        return made[-1]

    yield make
    for client in made:
        loop.run(client.close())


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
