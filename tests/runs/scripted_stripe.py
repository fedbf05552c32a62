"""A Stripe whose lists are given as they are, however wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Pages = Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]


@contextmanager
def scripted_stripe(pages: Pages) -> Iterator[str]:
    """Its URL. Each path has pages, the last of them without `has_more`; a cursor leads to the page after its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            cursor = parse_qs(asked.query).get("starting_after", [""])[0]
            body = json.dumps(self._answer(asked.path, cursor)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self, path: str, cursor: str) -> dict[str, Any]:
            if path == "/v1/account":
                return {"object": "account", "id": "acct_scripted"}
            known = pages.get(path, [[]])
            number = next((n + 1 for n, page in enumerate(known) if page and page[-1]["id"] == cursor), 0)
            data = known[number] if number < len(known) else []
            return {"object": "list", "url": path, "data": data, "has_more": number + 1 < len(known)}

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
