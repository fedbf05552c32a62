"""A proxy in front of a simulated Stripe that returns well-formed but false responses at random, by seed.

Every lie is detectable: from the request, from another response, or by repeating the request. A last page that omits
rows could be true (the rows may have been deleted), so it is not one of the lies.
"""

from __future__ import annotations

import asyncio
import copy
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from aiohttp import web

Body = dict[str, Any]
_PASSED = ("Authorization", "Stripe-Version", "Content-Type", "Stripe-Account")
_LISTS = ("lines", "items", "refunds", "reversals", "external_accounts")


@dataclass(frozen=True)
class Exchange:
    """A request and its true response."""

    path: str
    query: dict[str, str]
    body: Body

    @property
    def rows(self) -> list[Body]:
        data = self.body.get("data")
        return data if isinstance(data, list) else []

    @property
    def is_list(self) -> bool:
        return self.body.get("object") == "list"

    @property
    def bounded(self) -> bool:
        """Whether the request sets the start of its page."""
        return "starting_after" in self.query or "created[lt]" in self.query

    @property
    def is_embedded(self) -> bool:
        """Whether it is a list within an object: `/v1/invoices/in_1/lines`."""
        return self.is_list and self.path.count("/") == 4

    @property
    def is_whole(self) -> bool:
        return "starting_after" not in self.query and self.body.get("has_more") is False

    @property
    def full(self) -> bool:
        return len(self.rows) >= int(self.query.get("limit", 10))


Lie = Callable[["Liar", Exchange], Body | None]


@dataclass
class Liar:
    """Decides which responses are lies. A lie returns None if it does not apply to the response."""

    seed: int
    rate: float = 0.0
    #: Whether a repeated request gets the same kind of lie as before.
    stubborn: bool = False
    #: Names of lies that are excluded.
    without: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)
    _exchanges: list[Exchange] = field(default_factory=list)
    _lied: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def respond(self, exchange: Exchange) -> tuple[str | None, Any]:
        """The name of the lie and its body; None and the true body if the response is true."""
        key = f"{exchange.path} {sorted(exchange.query.items())}"
        others = [*self._exchanges]
        self._exchanges.append(exchange)
        name = self._lied.get(key) if self.stubborn else None
        if name is None and self.chance.random() >= self.rate:
            return None, exchange.body
        names = sorted(LIES.keys() - self.without)
        for chosen in [name] if name else self.chance.sample(names, len(names)):
            lie = LIES[chosen](self, Exchange(exchange.path, exchange.query, copy.deepcopy(exchange.body)), others)
            if lie is not None and lie != exchange.body:
                self.counts[chosen] += 1
                self._lied[key] = chosen
                return chosen, lie
        return None, exchange.body

    def pick(self, rows: list[Body]) -> int:
        return self.chance.randrange(len(rows))


def swapped(liar: Liar, exchange: Exchange, others: list[Exchange]) -> Any:
    """Returns the response to another request to the same path."""
    if not exchange.is_list or not exchange.bounded:
        return None
    same = [one.body for one in others if one.path == exchange.path and one.rows and one.query != exchange.query]
    return liar.chance.choice(same) if same else None


def dropped(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Drops a row."""
    if not exchange.rows or exchange.body.get("has_more") is not True:
        return None
    del exchange.rows[liar.pick(exchange.rows)]
    return exchange.body


def doubled(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Repeats a row, with or without dropping the last row."""
    if len(exchange.rows) < 3:
        return None
    at = liar.pick(exchange.rows)
    exchange.rows.insert(at, exchange.rows[at])
    if liar.chance.random() < 0.5 and at < len(exchange.rows) - 2:
        exchange.rows.pop()
    return exchange.body


def truncated(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Returns only the first rows, or none, with `has_more` still true."""
    if not exchange.rows or exchange.body.get("has_more") is not True:
        return None
    del exchange.rows[liar.pick(exchange.rows) :]
    return exchange.body


def other_object(liar: Liar, exchange: Exchange, others: list[Exchange]) -> Any:
    """Returns the response to another path, or a wrong value of `object`."""
    if exchange.is_list:
        if not exchange.rows:
            return None
        different = [one.body for one in others if one.path != exchange.path and one.is_list and one.rows]
        if different and liar.chance.random() < 0.5:
            return liar.chance.choice(different)
        exchange.rows[liar.pick(exchange.rows)]["object"] = "unknown"
        return exchange.body
    different = [one.body for one in others if not one.is_list and one.body.get("id") != exchange.body.get("id")]
    if different and liar.chance.random() < 0.5:
        return liar.chance.choice(different)
    return {**exchange.body, "object": "unknown"}


def wrong_flag(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Inverts `has_more`, or replaces it with a value that is not a boolean."""
    if not exchange.is_list:
        return None
    choices: list[Any] = [None, "true", 1]
    if exchange.body["has_more"] is False or exchange.full:
        choices += [not exchange.body["has_more"]] * 3
    return {**exchange.body, "has_more": liar.chance.choice(choices)}


def shifted(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Moves times outside the window, or reverses the order of the rows."""
    if not exchange.is_list or len(exchange.rows) < 2:
        return None
    if liar.chance.random() < 0.5 and "created[lt]" in exchange.query:
        seconds = int(exchange.query["created[lt]"]) - exchange.rows[0].get("created", exchange.rows[0].get("date", 0))
        for row in exchange.rows:
            for name in ("created", "date"):
                if name in row:
                    row[name] += seconds
        return exchange.body
    if exchange.rows[0].get("created") == exchange.rows[-1].get("created"):
        return None
    if exchange.is_embedded and exchange.is_whole:
        return None  # Stripe documents no order for a list within an object, and no row is missing or repeated
    exchange.body["data"] = exchange.rows[::-1]
    return exchange.body


def no_identifier(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Replaces the id of a row with an invalid value."""
    target = exchange.rows[liar.pick(exchange.rows)] if exchange.is_list and exchange.rows else exchange.body
    if "id" not in target:
        return None
    target["id"] = liar.chance.choice([None, "", 7, ["ch_1"]])
    return exchange.body


def not_an_object(liar: Liar, _exchange: Exchange, _others: list[Exchange]) -> Any:
    """Returns an unrelated body with the status 200."""
    choices: list[Any] = [{}, {"error": {"message": "odd", "type": "api_error"}}, [], None, "OK", {"object": "list"}]
    return liar.chance.choice(choices)


def embedded(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Corrupts an embedded list: its `has_more`, its entries or its `url`."""
    parents = exchange.rows if exchange.is_list else [exchange.body]
    found = [one[name] for one in parents for name in _LISTS if isinstance(one.get(name), dict) and one[name]["data"]]
    if not found:
        return None
    one = liar.chance.choice(found)
    change = liar.chance.choice(["missing", "null", "entry", "twice", "url"])
    if change == "missing":
        del one["has_more"]
    elif change == "null":
        one["has_more"] = None
    elif change == "entry":
        one["data"][liar.pick(one["data"])] = liar.chance.choice([None, "il_1", [], {}])
    elif change == "twice":
        one["data"].append(one["data"][0])
    elif one["has_more"]:
        one["url"] = liar.chance.choice(["https://elsewhere.example/v1/x", None, 7, "/v1/../x", "lines"])
    return exchange.body


def odd_event(liar: Liar, exchange: Exchange, _others: list[Exchange]) -> Any:
    """Corrupts an event so that it does not show what changed."""
    if exchange.path != "/v1/events" or not exchange.rows:
        return None
    event = exchange.rows[liar.pick(exchange.rows)]
    if liar.chance.random() < 0.5:
        event["type"] = liar.chance.choice([None, 5, "something.else"])
    else:
        event["data"] = liar.chance.choice([None, {}, {"object": None}, {"object": "ch_1"}])
    return exchange.body


def wrong_date(liar: Liar, _exchange: Exchange, _others: list[Exchange]) -> Any:
    """Shifts the `Date` header by hours."""
    return {"seconds": liar.chance.choice([-86_400, -3_600, 3_600, 86_400])}


LIES: dict[str, Callable[[Liar, Exchange, list[Exchange]], Any]] = {
    "swap": swapped,
    "drop": dropped,
    "double": doubled,
    "shift": shifted,
    "truncate": truncated,
    "wrong object": other_object,
    "wrong flag": wrong_flag,
    "wrong date": wrong_date,
    "no identifier": no_identifier,
    "not an object": not_an_object,
    "embedded list": embedded,
    "odd event": odd_event,
}


class Proxy:
    """A context manager that serves in a thread."""

    def __init__(self, target: str, liar: Liar) -> None:
        self._target, self.liar = target, liar
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with aiohttp.ClientSession() as self._session:
            runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        headers = {name: http.headers[name] for name in _PASSED if name in http.headers}
        async with self._session.request(
            http.method,
            f"{self._target}{http.path_qs}",
            headers=headers,
            data=await http.read() if http.method == "POST" else None,
        ) as response:
            raw = await response.read()
            status = response.status
            response_headers = {
                name: response.headers[name]
                for name in ("Date", "Request-Id", "Content-Type")
                if name in response.headers
            }
        if status == 200 and isinstance(body := orjson.loads(raw), dict):
            name, lie = self.liar.respond(Exchange(http.path, dict(http.query), body))
            if name == "wrong date":
                at = parsedate_to_datetime(response_headers["Date"]) + timedelta(seconds=lie["seconds"])
                response_headers["Date"] = format_datetime(at, usegmt=True)
            elif name is not None:
                raw = orjson.dumps(lie)
        return web.Response(status=status, body=raw, headers=response_headers)
