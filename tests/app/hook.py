"""A notification service on loopback, which can be set to fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hook:
    """The received notifications (title and body), and the status of the responses."""

    port: int = 0
    status: int = 200
    came: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://me:s3cret@127.0.0.1:{self.port}/hidden-path"


@contextmanager
def hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.came.append((body["title"], body["message"]))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hook
        server.shutdown()
