"""CPU per request of HTTP clients on pages like Stripe's: gzip, 100 charges, 16 in flight.

`python bench/http_clients.py [REQUESTS]` measures the installed candidates against a server in another process. Each
line is the median of three rounds, in user and system time of this process.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib
import importlib.util
import random
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

IN_FLIGHT = 16
ROUNDS = 3
PAGE_BYTES = 380_000
Use = Callable[[bytes], object]


def pages(count: int = 8) -> list[bytes]:
    """Gzipped pages with unique values, which compress like Stripe's pages."""
    orjson = importlib.import_module("orjson")
    rng = random.Random(1)

    def word() -> str:
        return f"{rng.getrandbits(96):024x}"

    def charge() -> dict[str, Any]:
        nested = {f"field_{number}": rng.choice([None, False, "usd", word()]) for number in range(60)}
        return {"id": f"ch_{word()}", "object": "charge", "amount": rng.randrange(10**6), "details": nested}

    def page() -> bytes:
        charges = [charge() for _ in range(100)]
        missing = PAGE_BYTES - len(orjson.dumps(charges))
        for entry in charges:
            entry["filler"] = "a longer text " * max(0, missing // 1400)
        return gzip.compress(orjson.dumps({"object": "list", "has_more": True, "data": charges}), 6)

    return [page() for _ in range(count)]


class Server(asyncio.Protocol):
    """A minimal server that keeps connections open and responds to each request with the next page."""

    bodies: tuple[bytes, ...] = ()
    served = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            _, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            Server.served += 1
            body = self.bodies[Server.served % len(self.bodies)]
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nRequest-Id: req_1\r\n"
            )
            self.transport.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def serve() -> None:
    Server.bodies = tuple(pages())
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def gather(count: int, one: Callable[[], Any]) -> None:
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await one()

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


def with_aiohttp(url: str, count: int, use: Use, *, one_call: bool) -> None:
    aiohttp = importlib.import_module("aiohttp")

    async def main() -> None:
        async with aiohttp.ClientSession(auto_decompress=not one_call, headers={"Accept-Encoding": "gzip"}) as session:

            async def one() -> None:
                async with session.get(url, params=[("limit", "100")]) as response:
                    body = await response.read()
                    use(zlib.decompress(body, wbits=31) if one_call else body)

            await gather(count, one)

    asyncio.run(main())


def with_httpx(url: str, count: int, use: Use, *, module: str) -> None:
    httpx = importlib.import_module(module)

    async def main() -> None:
        async with httpx.AsyncClient(headers={"Accept-Encoding": "gzip"}) as client:

            async def one() -> None:
                use((await client.get(url, params={"limit": "100"})).content)

            await gather(count, one)

    asyncio.run(main())


def with_urllib3(url: str, count: int, use: Use) -> None:
    pool = importlib.import_module("urllib3").PoolManager(maxsize=IN_FLIGHT, headers={"Accept-Encoding": "gzip"})
    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        list(threads.map(lambda _: use(pool.request("GET", url, fields={"limit": "100"}).data), range(count)))


def with_pycurl(url: str, count: int, use: Use) -> None:
    """Uses the multi interface in one thread, as an event loop would."""
    pycurl = importlib.import_module("pycurl")
    io = importlib.import_module("io")
    multi, left, active = pycurl.CurlMulti(), count, 0
    idle = []
    for _ in range(IN_FLIGHT):
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, f"{url}?limit=100")
        curl.setopt(pycurl.ENCODING, "gzip")
        idle.append(curl)
    while left or active:
        while left and idle:
            curl = idle.pop()
            curl.body = io.BytesIO()
            curl.setopt(pycurl.WRITEDATA, curl.body)
            multi.add_handle(curl)
            left, active = left - 1, active + 1
        multi.perform()
        done, _ = multi.info_read()[1:]
        for curl in done:
            multi.remove_handle(curl)
            use(curl.body.getvalue())
            idle.append(curl)
            active -= 1
        if active and not done:
            multi.select(1.0)


CANDIDATES: dict[str, tuple[str, Callable[[str, int, Use], None]]] = {
    "aiohttp, body in one call": ("aiohttp", lambda *given: with_aiohttp(*given, one_call=True)),
    "aiohttp, default": ("aiohttp", lambda *given: with_aiohttp(*given, one_call=False)),
    "httpx2": ("httpx2", lambda *given: with_httpx(*given, module="httpx2")),
    "httpx": ("httpx", lambda *given: with_httpx(*given, module="httpx")),
    "pycurl multi": ("pycurl", with_pycurl),
    "urllib3, 16 threads": ("urllib3", with_urllib3),
}


def milliseconds(run: Callable[[str, int, Use], None], url: str, count: int, use: Use) -> tuple[float, float]:
    """CPU and wall time per request."""
    rounds = []
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        run(url, count, use)
        rounds.append(((time.process_time() - cpu) * 1e3 / count, (time.perf_counter() - wall) * 1e3 / count))
    return statistics.median(cpu for cpu, _ in rounds), statistics.median(wall for _, wall in rounds)


def main(count: int) -> None:
    loads: Use = importlib.import_module("orjson").loads
    sizes = [(len(body), len(gzip.decompress(body))) for body in pages()]
    packed, plain = (statistics.mean(size) / 1e3 for size in zip(*sizes, strict=True))
    print(f"pages of {plain:.0f} KB, {packed:.0f} KB gzipped; {IN_FLIGHT} in flight, {count} requests, CPU ms each")
    print(f"{'':28}{'body':>8}{'+ orjson':>10}{'wall':>8}")
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1/charges"
            for name, (module, run) in CANDIDATES.items():
                if importlib.util.find_spec(module) is None:
                    print(f"{name:28}not installed")
                    continue
                run(url, 32, len)
                body, _ = milliseconds(run, url, count, len)
                parsed, wall = milliseconds(run, url, count, loads)
                print(f"{name:28}{body:8.2f}{parsed:10.2f}{wall:8.2f}", flush=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    if "--serve" in sys.argv:
        asyncio.run(serve())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
