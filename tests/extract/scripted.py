"""A client that answers by a function, for tests of what is asked and what is made of the answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from counterfoil.stripe.client import Client
from counterfoil.stripe.responses import Answer
from counterfoil.values import Page, StripeObject

#: Of rows that do not say it.
OBJECTS = {"/v1/events": "event", "/v1/invoices": "invoice"}
#: Replaced by the path that was requested.
ANY_URL = "/v1/…"

Respond = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass
class Scripted:
    """What extract uses of a client."""

    respond: Respond
    in_flight: int = 4
    date: int = 0
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)

    async def get(self, path: str, params: Mapping[str, Any] | None = None, *, version: str | None = None) -> Answer:
        told = dict(params or {}) | ({"version": version} if version else {})
        self.asked.append((path, told))
        self.requests[path] += 1
        await asyncio.sleep(0)
        body = self.respond(path, told)
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


def listed(objects: list[StripeObject], *, has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": objects, "has_more": has_more, "url": ANY_URL}


def page_of(rows: list[StripeObject], params: Mapping[str, Any], *, most: int = 100) -> dict[str, Any]:
    """The page of a list that is newest first: after the cursor, in the window, with at most `most` rows."""
    ids = [one["id"] for one in rows]
    start = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
    since, until = params.get("created[gte]"), params.get("created[lt]")
    left = [
        one
        for one in rows[start:]
        if (since is None or one["created"] >= since) and (until is None or one["created"] < until)
    ]
    limit = min(params.get("limit", 10), most)
    return listed(left[:limit], has_more=len(left) > limit)


def gathered(pages: AsyncIterator[Page]) -> list[StripeObject]:
    """All objects of the pages."""

    async def read() -> list[StripeObject]:
        return [one async for page in pages for one in page.objects]

    return asyncio.run(read())
