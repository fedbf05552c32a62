"""An HTTP server on the loopback interface with Domo's API, which can simulate failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.domo_api import DomoServer, Refusal


class _Handler(BaseHTTPRequestHandler):
    """Handles the requests to one `DomoServer`, which a subclass sets."""

    protocol_version = "HTTP/1.1"
    domo: DomoServer

    def log_message(self, *_: Any) -> None:
        """Logs nothing."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def do_any(self) -> None:
        self.close_connection = True
        with self.domo.in_hand():
            self._handle_request()

    def _handle_request(self) -> None:
        parts = urlsplit(self.path)
        request = f"{self.command} {parts.path}"
        with self.domo.lock:
            self.domo.asked.append(request)
        trouble = self.domo.trouble(request)
        if trouble == "cut":
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if callable(trouble):
            trouble()
        if isinstance(trouble, int):
            self._respond(trouble, {"status": trouble, "statusReason": responses[trouble], "message": "Simulated"})
            return
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        try:
            with self.domo.lock:
                status, answer = 200, self.answer(parts.path, query, body)
        except Refusal as refusal:
            status = refusal.status
            answer = {"status": status, "statusReason": responses[status], "message": str(refusal), "toe": "TOE-1"}
        if trouble != "lost":
            self._respond(status, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def answer(self, path: str, query: dict[str, str], body: bytes) -> Any:
        if path == "/oauth/token":
            return self.domo.token(self.headers.get("Authorization", ""), query)
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self.domo.tokens:
            raise Refusal(401, "the token has expired")
        if "/part/" in path and (self.headers["Content-Type"], self.headers["Content-Encoding"]) != (
            "text/csv",
            "gzip",
        ):
            raise Refusal(415, "a part is gzip'd CSV")
        return self.domo.answer(self.command, path, query, body)

    def _respond(self, status: int, answer: Any) -> None:
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(204 if answer is None else status)
        if data:
            self.send_header("Content-Type", "application/json;charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Ignores the error of a killed client."""


@contextmanager
def running() -> Iterator[DomoServer]:
    """A server on a free port."""
    with _Quiet(("127.0.0.1", 0), _Handler) as server:
        domo = DomoServer(server.server_address[1])
        server.RequestHandlerClass = type("_Bound", (_Handler,), {"domo": domo})
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield domo
        finally:
            server.shutdown()
            thread.join()
