"""The health answer: `GET /health` on the loopback, for whoever watches over the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from counterfoil.errors import SettingsError

#: What is well, as JSON can hold it; `ok` decides between 200 and 503.
Health = Mapping[str, Any]


class HealthServer:
    """Answers `/health` on 127.0.0.1, and nothing else, from a thread."""

    def __init__(self, port: int, health: Callable[[], Health]) -> None:
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _answering(health))
        except OSError as error:
            raise SettingsError(
                f"Port {port} of 127.0.0.1 can't be used: {error.strerror or error}",
                hint="Choose another with --port; 0 picks one that is free.",
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/health"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _answering(health: Callable[[], Health]) -> type[BaseHTTPRequestHandler]:
    class Answer(BaseHTTPRequestHandler):
        server_version = "counterfoil"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path != "/health":
                self._send(HTTPStatus.NOT_FOUND, {"error": "The health answer is at /health."})
                return
            try:
                found = health()
            except Exception as error:  # noqa: BLE001 - whatever it is, the service is not well
                found = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            self._send(HTTPStatus.OK if found["ok"] else HTTPStatus.SERVICE_UNAVAILABLE, found)

        def _send(self, status: HTTPStatus, body: Health) -> None:
            payload = json.dumps(body).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing: whoever watches asks every few seconds."""

    return Answer
