"""The HTTP server: sockets, headers, compression, delays and faults around the API."""

from __future__ import annotations

import asyncio
import time
import zlib

import orjson
from aiohttp import web

from stripe_sandbox.api import Api, Request, Route
from stripe_sandbox.chance import mix
from stripe_sandbox.changes import Changes
from stripe_sandbox.clock import Clock
from stripe_sandbox.company.world import World
from stripe_sandbox.control import Control, Rules
from stripe_sandbox.life.life import Life
from stripe_sandbox.objects.json import Json
from stripe_sandbox.store import Store
from stripe_sandbox.wire import faults, versions
from stripe_sandbox.wire.errors import StripeError
from stripe_sandbox.wire.limits import Limits
from stripe_sandbox.wire.requests import Requests, Seen


class Server:
    """One simulated Stripe account. Everything in it runs in one event loop."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        latency_ms: float,
        rps: float | None,
        fault_rate: float,
        life: float | None = None,
    ) -> None:
        self.world, self.clock = world, clock
        self.store = Store(world, clock)
        self.api = Api(self.store)
        self.limits = Limits(rps)
        self.faults = faults.Faults(world.seed, fault_rate)
        self.requests = Requests()
        self.rules = Rules(Changes(self.store))
        self.life = Life(self.store)
        self.life.set(life, now=clock.now())
        self.latency_seconds = latency_ms / 1000
        self.path_latency: dict[str, float] = {}
        self.control = Control(self)
        self._answered = 0

    def catch_up(self) -> None:
        """Simulates all activity up to the current time."""
        now = self.clock.now()
        self.life.play(now)
        self.world.now = now

    async def keep_living(self) -> None:
        """Simulates activity every second, so that it does not accumulate between requests."""
        while True:
            await asyncio.sleep(1)
            self.catch_up()

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        self.catch_up()
        if http.path.startswith("/_sandbox/"):
            status, body = self.control.answer(http.method, http.path, http.query_string, await http.read())
            return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
        started = time.perf_counter()
        seen = self.requests.enter(http.method, http.path, http.query_string, http.headers)
        status = 0
        try:
            response = await self._respond(http, seen, started)
            status = response.status
            return response
        finally:
            self.requests.leave(seen, status)

    async def _respond(self, http: web.BaseRequest, seen: Seen, started: float) -> web.StreamResponse:
        body = (await http.read()).decode() if http.method == "POST" else ""
        seen.body = body
        fault = self.faults.next(http.path)
        request = Request(http.method, http.path, http.query_string, body, http.headers)
        if fault and fault.fault == "stuck_cursor":
            request = Request(http.method, http.path, _without_cursor(http.query_string), body, http.headers)
        headers: dict[str, str] = {}
        try:
            status, answer = 200, await self._answer(request, seen, fault, started)
        except StripeError as error:
            status, answer, headers = error.status, {"error": error.body}, error.headers
            await self._wait(http.path, started)
        self._answered += 1
        return await self._send(http, status, answer, headers, fault)

    async def _answer(self, request: Request, seen: Seen, fault: faults.Fault | None, started: float) -> Json:
        endpoint = self._endpoint(request)
        self.requests.reached(seen, endpoint)
        route = self.api.checked(request)
        with self.limits.entered(endpoint):
            if fault and fault.fault == "hold":
                await self.faults.hold(fault)
                self.catch_up()
            elif fault:
                faults.raised(fault)
            answer = self.api.answer(request, route)
            if fault:
                faults.told_wrongly(fault, answer, self._following(request, route, answer))
            self.rules.page_answered(request.path, answer)
            await self._wait(request.path, started)
        return answer

    def _following(self, request: Request, route: Route, answer: Json) -> Json | None:
        """The next page of the list, with one object; None if no page follows."""
        if answer.get("has_more") is not True:
            return None
        kept = [part for part in request.query.split("&") if not part.startswith(("starting_after=", "limit="))]
        query = "&".join([*filter(None, kept), "limit=1", f"starting_after={answer['data'][-1]['id']}"])
        return self.api.answer(Request(request.method, request.path, query, request.body, request.headers), route)

    def _endpoint(self, request: Request) -> str:
        version = request.headers.get("Stripe-Version", versions.PINNED)
        try:
            return self.api.route(request.method, request.path, version).endpoint
        except StripeError:
            return f"{request.method} {request.path}"

    async def _wait(self, path: str, started: float) -> None:
        latency = self.path_latency.get(path, self.latency_seconds)
        left = latency - (time.perf_counter() - started)
        if left > 0:
            await asyncio.sleep(left)

    def _headers(self, http: web.BaseRequest) -> dict[str, str]:
        request_id = f"req_{mix(self.world.seed ^ self._answered):016x}"[:18]
        version = http.headers.get("Stripe-Version", versions.PINNED)
        return {
            "Date": self.clock.date(),
            "Request-Id": request_id,
            "Stripe-Version": version if version in versions.KNOWN else versions.PINNED,
            "Content-Type": "application/json",
        }

    async def _send(
        self, http: web.BaseRequest, status: int, answer: Json, more: dict[str, str], fault: faults.Fault | None
    ) -> web.StreamResponse:
        headers = self._headers(http) | more
        if status == 429 and answer.get("error", {}).get("code") == "lock_timeout":
            # Docs: a lock timeout has no request id.
            del headers["Request-Id"]
        elif "error" in answer:
            answer["error"]["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{headers['Request-Id']}"
        mangled = fault.fault if fault else None
        body = b"<html>Bad gateway</html>" if mangled == "garbage" else orjson.dumps(answer)
        if "gzip" in http.headers.get("Accept-Encoding", ""):
            body = _gzip(body)
            headers["Content-Encoding"] = "gzip"
        if mangled in ("cut", "half") and status == 200:
            return await _cut(http, headers, body, whole=mangled == "cut")
        return web.Response(status=status, body=body, headers=headers)


async def _cut(http: web.BaseRequest, headers: dict[str, str], body: bytes, *, whole: bool) -> web.StreamResponse:
    """Closes the connection: before anything is sent, or in the middle of the body."""
    transport = http.transport
    if not whole:
        response = web.StreamResponse(status=200, headers=headers | {"Content-Length": str(len(body))})
        await response.prepare(http)
        await response.write(body[: len(body) // 2])
    if transport is not None:
        transport.close() if not whole else transport.abort()
    raise asyncio.CancelledError


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _without_cursor(query: str) -> str:
    return "&".join(part for part in query.split("&") if not part.startswith("starting_after="))
