"""A proxy in front of a simulated Stripe that tells well-formed lies at random, by seed.

A lie is one that can be told from the truth: by the request, by another answer, or by asking again. A last page that
omits rows is a possible truth (they may have been deleted), so it is not among them.
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
class Asked:
    """A request and the true answer to it."""

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
        """Whether the request says where its page begins."""
        return "starting_after" in self.query or "created[lt]" in self.query

    @property
    def is_embedded(self) -> bool:
        """Whether it is the list within one object: `/v1/invoices/in_1/lines`."""
        return self.is_list and self.path.count("/") == 4

    @property
    def is_whole(self) -> bool:
        return "starting_after" not in self.query and self.body.get("has_more") is False

    @property
    def full(self) -> bool:
        return len(self.rows) >= int(self.query.get("limit", 10))


Lie = Callable[["Liar", Asked], Body | None]


@dataclass
class Liar:
    """Decides which answer is a lie. None from a lie is "this answer offers no occasion"."""

    seed: int
    rate: float = 0.0
    #: Whether a request that was answered by a lie is answered by one each time.
    stubborn: bool = False
    #: Lies that it never tells.
    without: frozenset[str] = frozenset()
    told: Counter[str] = field(default_factory=Counter)
    _answers: list[Asked] = field(default_factory=list)
    _lied: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def answer(self, asked: Asked) -> tuple[str | None, Any]:
        """The name of the lie, and the body; None and the true body when it is told the truth."""
        key = f"{asked.path} {sorted(asked.query.items())}"
        others = [*self._answers]
        self._answers.append(asked)
        name = self._lied.get(key) if self.stubborn else None
        if name is None and self.chance.random() >= self.rate:
            return None, asked.body
        names = sorted(LIES.keys() - self.without)
        for chosen in [name] if name else self.chance.sample(names, len(names)):
            lie = LIES[chosen](self, Asked(asked.path, asked.query, copy.deepcopy(asked.body)), others)
            if lie is not None and lie != asked.body:
                self.told[chosen] += 1
                self._lied[key] = chosen
                return chosen, lie
        return None, asked.body

    def some(self, rows: list[Body]) -> int:
        return self.chance.randrange(len(rows))


def swapped(liar: Liar, asked: Asked, others: list[Asked]) -> Any:
    """The answer to another request of the same path."""
    if not asked.is_list or not asked.bounded:
        return None
    same = [one.body for one in others if one.path == asked.path and one.rows and one.query != asked.query]
    return liar.chance.choice(same) if same else None


def dropped(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """Without one of its rows."""
    if not asked.rows or asked.body.get("has_more") is not True:
        return None
    del asked.rows[liar.some(asked.rows)]
    return asked.body


def doubled(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """With a row twice, in place of the last one or besides it."""
    if len(asked.rows) < 3:
        return None
    at = liar.some(asked.rows)
    asked.rows.insert(at, asked.rows[at])
    if liar.chance.random() < 0.5 and at < len(asked.rows) - 2:
        asked.rows.pop()
    return asked.body


def truncated(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """With its first rows only, or none, and more to follow."""
    if not asked.rows or asked.body.get("has_more") is not True:
        return None
    del asked.rows[liar.some(asked.rows) :]
    return asked.body


def other_object(liar: Liar, asked: Asked, others: list[Asked]) -> Any:
    """The answer to another path, or rows that call themselves something else."""
    if asked.is_list:
        if not asked.rows:
            return None
        different = [one.body for one in others if one.path != asked.path and one.is_list and one.rows]
        if different and liar.chance.random() < 0.5:
            return liar.chance.choice(different)
        asked.rows[liar.some(asked.rows)]["object"] = "unknown"
        return asked.body
    different = [one.body for one in others if not one.is_list and one.body.get("id") != asked.body.get("id")]
    if different and liar.chance.random() < 0.5:
        return liar.chance.choice(different)
    return {**asked.body, "object": "unknown"}


def wrong_flag(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """`has_more` turned around, or something that is no boolean."""
    if not asked.is_list:
        return None
    choices: list[Any] = [None, "true", 1]
    if asked.body["has_more"] is False or asked.full:
        choices += [not asked.body["has_more"]] * 3
    return {**asked.body, "has_more": liar.chance.choice(choices)}


def shifted(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """Times that lie outside the window, or rows that are not newest first."""
    if not asked.is_list or len(asked.rows) < 2:
        return None
    if liar.chance.random() < 0.5 and "created[lt]" in asked.query:
        seconds = int(asked.query["created[lt]"]) - asked.rows[0].get("created", asked.rows[0].get("date", 0))
        for row in asked.rows:
            for name in ("created", "date"):
                if name in row:
                    row[name] += seconds
        return asked.body
    if asked.rows[0].get("created") == asked.rows[-1].get("created"):
        return None
    if asked.is_embedded and asked.is_whole:
        return None  # Stripe documents no order for a list within an object: nothing is missing or double
    asked.body["data"] = asked.rows[::-1]
    return asked.body


def no_identifier(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """A row without its identifier."""
    target = asked.rows[liar.some(asked.rows)] if asked.is_list and asked.rows else asked.body
    if "id" not in target:
        return None
    target["id"] = liar.chance.choice([None, "", 7, ["ch_1"]])
    return asked.body


def not_an_object(liar: Liar, _asked: Asked, _others: list[Asked]) -> Any:
    """Something else behind a 200."""
    choices: list[Any] = [{}, {"error": {"message": "odd", "type": "api_error"}}, [], None, "OK", {"object": "list"}]
    return liar.chance.choice(choices)


def embedded(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """An embedded list that does not say whether it goes on, or has entries that are none."""
    parents = asked.rows if asked.is_list else [asked.body]
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
        one["data"][liar.some(one["data"])] = liar.chance.choice([None, "il_1", [], {}])
    elif change == "twice":
        one["data"].append(one["data"][0])
    elif one["has_more"]:
        one["url"] = liar.chance.choice(["https://elsewhere.example/v1/x", None, 7, "/v1/../x", "lines"])
    return asked.body


def odd_event(liar: Liar, asked: Asked, _others: list[Asked]) -> Any:
    """An event that does not say what changed."""
    if asked.path != "/v1/events" or not asked.rows:
        return None
    event = asked.rows[liar.some(asked.rows)]
    if liar.chance.random() < 0.5:
        event["type"] = liar.chance.choice([None, 5, "something.else"])
    else:
        event["data"] = liar.chance.choice([None, {}, {"object": None}, {"object": "ch_1"}])
    return asked.body


def wrong_date(liar: Liar, _asked: Asked, _others: list[Asked]) -> Any:
    """Stripe's clock, hours off."""
    return {"seconds": liar.chance.choice([-86_400, -3_600, 3_600, 86_400])}


LIES: dict[str, Callable[[Liar, Asked, list[Asked]], Any]] = {
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
    """Serves in a thread while the `with` lasts."""

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
        ) as answer:
            raw = await answer.read()
            status = answer.status
            kept = {
                name: answer.headers[name] for name in ("Date", "Request-Id", "Content-Type") if name in answer.headers
            }
        if status == 200 and isinstance(body := orjson.loads(raw), dict):
            name, lie = self.liar.answer(Asked(http.path, dict(http.query), body))
            if name == "wrong date":
                at = parsedate_to_datetime(kept["Date"]) + timedelta(seconds=lie["seconds"])
                kept["Date"] = format_datetime(at, usegmt=True)
            elif name is not None:
                raw = orjson.dumps(lie)
        return web.Response(status=status, body=raw, headers=kept)
