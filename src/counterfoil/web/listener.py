"""Runs uvicorn in a thread of this process, on a socket that is bound before anything else starts."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn
from starlette.types import ASGIApp

from counterfoil.errors import SettingsError
from counterfoil.http.address import address

#: Time for requests in progress to finish when the service stops.
_GRACE_SECONDS = 3
_MOST_AT_ONCE = 200


class Listener:
    """Listens from creation, answers from `start`, and closes at `stop`; port 0 picks a free port."""

    def __init__(self, host: str, port: int) -> None:
        try:
            family, kind, protocol, _, resolved = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._socket = socket.socket(family, kind, protocol)
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._socket.bind(resolved)
                self._socket.listen(128)
            except OSError:
                self._socket.close()
                raise
        except OSError as error:
            raise SettingsError(
                f"port {port} on {host} is unavailable: {error.strerror or error}",
                hint="Pass --port with another port, or with 0 for a free one.",
            ) from error
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self, app: ASGIApp, *, behind_proxy: bool = False) -> None:
        """Starts answering. `behind_proxy`: a proxy on this machine sends the client address in `X-Forwarded-For`."""
        # The application logs its own requests and errors.
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            app,
            interface="asgi3",
            log_config=None,
            log_level=logging.CRITICAL,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=behind_proxy,
            forwarded_allow_ips=["127.0.0.1", "::1"],
            limit_concurrency=_MOST_AT_ONCE,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="page", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stops within a few seconds."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(2 * _GRACE_SECONDS)
        self._socket.close()

    @property
    def url(self) -> str:
        """The URL for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return address("http", host, self.port).base
