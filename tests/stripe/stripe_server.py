"""A small server that answers by a function, on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web

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
        if self._thread.is_alive():
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
        if says.headers.get("Transfer-Encoding") == "chunked":
            headers = {name: value for name, value in says.headers.items() if name != "Transfer-Encoding"}
            response = web.StreamResponse(status=says.status, headers=headers)
            response.enable_chunked_encoding()
            await response.prepare(request)
            with suppress(ConnectionError):  # the client may have enough of it
                await response.write(says.body)
            return response
        if says.cut is None:
            return web.Response(status=says.status, body=says.body, headers=says.headers)
        assert request.transport is not None
        head = f"HTTP/1.1 {says.status} OK\r\nContent-Length: {len(says.body)}\r\n\r\n".encode()
        request.transport.write((head if says.cut else b"") + says.body[: says.cut])
        request.transport.close()
        return web.Response()
