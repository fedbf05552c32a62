"""A small HTTP server on loopback, in its own thread; its responses come from a function."""

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
class Received:
    """A request as the server received it."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    form: list[tuple[str, str]]


@dataclass(frozen=True)
class Response:
    """A response of the server. With `cut`, it sends that many bytes of the body and closes the connection."""

    status: int = 200
    body: bytes = b'{"object": "list", "data": [], "has_more": false}'
    headers: dict[str, str] = field(default_factory=lambda: {"Request-Id": "req_1", "Content-Type": "application/json"})
    cut: int | None = None


Respond = Callable[[Received], Response]


class StripeServer:
    """A server on loopback, in its own thread. `respond` can be replaced at any time."""

    def __init__(self, certificate: ssl.SSLContext | None = None) -> None:
        self.respond: Respond = lambda request: Response()
        self.received: list[Received] = []
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
        self.received.append(Received(request.method, request.path, list(request.query.items()), headers, form))
        sent = self.respond(self.received[-1])
        if sent.headers.get("Transfer-Encoding") == "chunked":
            headers = {name: value for name, value in sent.headers.items() if name != "Transfer-Encoding"}
            response = web.StreamResponse(status=sent.status, headers=headers)
            response.enable_chunked_encoding()
            await response.prepare(request)
            with suppress(ConnectionError):  # the client may close the connection first
                await response.write(sent.body)
            return response
        if sent.cut is None:
            return web.Response(status=sent.status, body=sent.body, headers=sent.headers)
        assert request.transport is not None
        head = f"HTTP/1.1 {sent.status} OK\r\nContent-Length: {len(sent.body)}\r\n\r\n".encode()
        request.transport.write((head if sent.cut else b"") + sent.body[: sent.cut])
        request.transport.close()
        return web.Response()
