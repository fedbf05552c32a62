"""Runs the server: in a background thread for tests and demonstrations, or in the foreground."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from stripe_sandbox.clock import Clock
from stripe_sandbox.company.world import World
from stripe_sandbox.server import Server

#: Activities per day for a company that a user watches live: one every five seconds.
LIVELY = 86400 / 5


class Sandbox:
    """A simulated Stripe on this machine. It is a context manager; `url` is the base URL of the API."""

    def __init__(
        self,
        seed: int = 1,
        scale: float = 1.0,
        *,
        latency_ms: float = 0,
        rps: float | None = None,
        fault_rate: float = 0.0,
        live: bool = False,
        life: float | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        """`life` is the number of simulated activities per day of sandbox time; None means none."""
        self.clock = Clock(live=live)
        self.world = World(seed, scale, self.clock.start)
        self.host, self.port = host, port
        self.server = Server(self.world, self.clock, latency_ms=latency_ms, rps=rps, fault_rate=fault_rate, life=life)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="sandbox", daemon=True)
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def control(self, name: str, **values: Any) -> Any:
        """Calls a control: `control("advance", seconds=60)` is `POST /_sandbox/advance {"seconds": 60}`."""
        return self._call(name, orjson.dumps(values))

    def ask(self, name: str) -> Any:
        """`ask("truth/balance")` is `GET /_sandbox/truth/balance`."""
        return self._call(name, None)

    def _call(self, name: str, body: bytes | None) -> Any:
        request = urllib.request.Request(f"{self.url}/_sandbox/{name}", data=body)  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
                return orjson.loads(answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                raise ValueError(refused.read().decode()) from None

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self.serve(lambda _: ready.set()))
        except OSError as error:
            self._failure = error
        finally:
            ready.set()

    async def serve(self, ready: Callable[[str], None]) -> None:
        """Serves until stopped or canceled; calls `ready` with the URL when the server listens."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self.server.handle), shutdown_timeout=0.1)
        await runner.setup()
        living = asyncio.create_task(self.server.keep_living()) if self.clock.live else None
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            ready(self.url)
            await self._stop.wait()
        finally:
            if living is not None:
                living.cancel()
            await runner.cleanup()


def serve(
    seed: int = 1,
    scale: float = 1.0,
    *,
    latency_ms: float = 0,
    rps: float | None = None,
    fault_rate: float = 0.0,
    live: bool = False,
    life: float | None = None,
    port: int = 8322,
    host: str = "127.0.0.1",
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serves in the foreground until interrupted."""
    sandbox = Sandbox(
        seed,
        scale,
        latency_ms=latency_ms,
        rps=rps,
        fault_rate=fault_rate,
        live=live,
        life=life,
        port=port,
        host=host,
    )
    asyncio.run(sandbox.serve(ready))
