"""A fake Stripe whose lists have the rows of a test. It counts its requests."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Row = Mapping[str, Any]


@dataclass
class ScriptedStripe:
    """`rows` of each path, newest first, can change while it serves. Other lists are empty."""

    rows: dict[str, Sequence[Row]]
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)

    def answer(self, path: str, query: Mapping[str, list[str]]) -> dict[str, Any]:
        self.asked[path] += 1
        if path == "/v1/account":
            return {"object": "account", "id": "acct_scripted"}
        above, _, last = path.rpartition("/")
        one = next((row for row in self.rows.get(above, ()) if row["id"] == last), None)
        if one is not None:
            return dict(one)
        asked = {name: values[0] for name, values in query.items()}
        since, until = int(asked.get("created[gte]", 0)), int(asked.get("created[lt]", 2**40))
        found = [row for row in self.rows.get(path, ()) if since <= row["created"] < until]
        if "starting_after" in asked:
            found = found[[row["id"] for row in found].index(asked["starting_after"]) + 1 :]
        limit = int(asked.get("limit", 10))
        return {"object": "list", "url": path, "data": found[:limit], "has_more": len(found) > limit}


@contextmanager
def scripted_stripe(rows: Mapping[str, Sequence[Row]]) -> Iterator[ScriptedStripe]:
    """Serves until the block ends."""
    stripe = ScriptedStripe(dict(rows))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            body = json.dumps(stripe.answer(asked.path, parse_qs(asked.query))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            stripe.url = f"http://127.0.0.1:{server.server_port}"
            yield stripe
        finally:
            server.shutdown()
            thread.join()
