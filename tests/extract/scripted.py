"""A client whose responses come from a function, for tests of requests and of the rows made from responses."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from counterfoil.stripe.client import Client
from counterfoil.stripe.responses import Answer
from counterfoil.values import Page, StripeObject

#: The `object` of rows without one, by path.
OBJECTS = {"/v1/events": "event", "/v1/invoices": "invoice"}
#: A placeholder for the requested path.
ANY_URL = "/v1/…"

Respond = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass
class Scripted:
    """The part of a client that `extract` uses."""

    respond: Respond
    in_flight: int = 4
    date: int = 0
    #: The path and the parameters of each request.
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)

    async def get(self, path: str, params: Mapping[str, Any] | None = None, *, version: str | None = None) -> Answer:
        query = dict(params or {}) | ({"version": version} if version else {})
        self.sent.append((path, query))
        self.requests[path] += 1
        await asyncio.sleep(0)
        body = self.respond(path, query)
        if body.get("url") == ANY_URL:
            rows = [{"object": OBJECTS[path], **one} if path in OBJECTS else one for one in body["data"]]
            body = {**body, "url": path, "data": rows}
        return Answer(body=body, date=0, request_id=None, bytes=0)

    post = get

    def slots(self, path: str) -> int:
        return self.in_flight

    @property
    def client(self) -> Client:
        return cast("Client", self)


def list_response(objects: list[StripeObject], *, has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": objects, "has_more": has_more, "url": ANY_URL}


def page_of(rows: list[StripeObject], params: Mapping[str, Any], *, max_rows: int = 100) -> dict[str, Any]:
    """A page of a list, newest first: after the cursor, in the window, with at most `max_rows` rows."""
    ids = [one["id"] for one in rows]
    start = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
    since, until = params.get("created[gte]"), params.get("created[lt]")
    left = [
        one
        for one in rows[start:]
        if (since is None or one["created"] >= since) and (until is None or one["created"] < until)
    ]
    limit = min(params.get("limit", 10), max_rows)
    return list_response(left[:limit], has_more=len(left) > limit)


def collect(pages: AsyncIterator[Page]) -> list[StripeObject]:
    """All objects of the pages."""

    async def read() -> list[StripeObject]:
        return [one async for page in pages for one in page.objects]

    return asyncio.run(read())
