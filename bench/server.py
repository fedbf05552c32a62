"""The sandbox in its own process, with additional functions for measurements.

It records the times of each request, and finds the `created` from which on a report has a given number of rows.
`python -m bench.server SCALE` prints its URL when it is ready, and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from bisect import bisect_left
from typing import Any

import orjson
from aiohttp import web

from stripe_sandbox.clock import Clock
from stripe_sandbox.company.world import World
from stripe_sandbox.kinds import BY_PATH
from stripe_sandbox.server import Server


class Clocked:
    """The sandbox's server, which records the times of list requests."""

    def __init__(self, server: Server) -> None:
        self._server = server
        #: Path, status, and the times of the request and of the response in seconds.
        self._requests: list[tuple[str, int, float, float]] = []
        self._cpu = time.process_time()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        if http.path.startswith("/_bench/"):
            body = self._times() if http.path == "/_bench/times" else self._cuts(dict(http.query))
            return web.Response(body=orjson.dumps(body), content_type="application/json")
        came_at = time.perf_counter()
        response = await self._server.handle(http)
        if http.path in BY_PATH:
            self._requests.append((http.path, response.status, came_at, time.perf_counter()))
        return response

    def _times(self) -> dict[str, Any]:
        """The list requests, and the CPU seconds of this process, since the last call."""
        times = {"requests": self._requests, "cpu": time.process_time() - self._cpu}
        self._requests, self._cpu = [], time.process_time()
        return times

    def _cuts(self, query: dict[str, str]) -> dict[str, Any]:
        """The second from which on there are about `rows` objects, their number, and `chains` ranges of them."""
        kind, world = BY_PATH[f"/v1/{query['report']}"], self._server.world
        created, hidden = kind.created(world), kind.hidden
        since = created[max(0, len(created) - int(query["rows"]))]
        first = bisect_left(created, since)
        span, chains = range(first, len(created)), int(query.get("chains", 1))
        rows = sum(not hidden(world, n) for n in span) if hidden else len(span)
        bounds = [created[span[len(span) * number // chains]] for number in range(chains)]
        ends = [*bounds[1:], created[-1] + 1]
        ranges = [[low, high] for low, high in zip(bounds, ends, strict=True) if low < high]
        return {"since": since, "rows": rows, "ranges": ranges}


async def serve(scale: float) -> None:
    """Serves until standard input is closed."""
    clock = Clock(live=False)
    server = Server(World(1, scale, clock.start), clock, latency_ms=0, rps=None, fault_rate=0)
    runner = web.ServerRunner(web.Server(Clocked(server).handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
