"""The Domo client in a URL, the location of its secret, and the protection of that secret."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest

from counterfoil.destinations import Destination, open_destination
from counterfoil.destinations.domo.client import DomoClient, DomoTokens
from counterfoil.destinations.domo.destination import DomoDestination
from counterfoil.destinations.domo.url import domo_address
from counterfoil.errors import (
    CounterfoilError,
    DestinationRejected,
    SettingsError,
    TransientError,
)
from counterfoil.settings import Settings
from counterfoil.values import Load
from tests.destinations.conftest import Archived, raises
from tests.domo_api import CLIENT, SECRET, DomoServer

_SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("amount", pa.int64())])
_ROWS = [{"id": "ch_1", "amount": 1050}, {"id": "ch_2", "amount": None}]


def _load(run: str = "run-1", **changes: Any) -> Load:
    return Load(**{"run": run, "table": "charges", "method": "replace"} | changes)


def _open(server: DomoServer, settings: Settings, **how: Any) -> DomoDestination:
    return DomoDestination(server.url(), settings, wait_seconds=0.01, **how)


@pytest.fixture
def destination(domo_destination: Destination) -> Destination:
    return domo_destination


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("domo://me@api.domo.com", "domo://me@api.domo.com"),
        ("DOMO://me@API.domo.com:443/", "domo://me@api.domo.com:443"),
        ("domo://api.domo.com?secret=env:DOMO_CLIENT_SECRET", "domo://api.domo.com"),
        ("domo://me@api.domo.com?secret=file:/run/x&prefix=S%20", "domo://me@api.domo.com?prefix=S%20&secret=file:/run/x"),
        ("domo://[::1]:80?prefix=a%26b", "domo://[::1]:80?prefix=a%26b"),
    ],
)  # fmt: skip
def test_url_is_normalized(url: str, name: str, tmp_path: Path) -> None:
    destination = open_destination(url, relative_to=tmp_path, settings=Settings(home=tmp_path))
    assert destination.name == name
    assert open_destination(name, relative_to=tmp_path, settings=Settings(home=tmp_path)).name == name


@pytest.mark.parametrize("url", [
    "domo:", "domo://", "domo://me@", "domo://me@api.domo.com/x", "domo://me@api.domo.com?folder=x", "domo://[x",
    "domo://me@api.domo.com?prefix=%00", "domo://me:hunter2@api.domo.com", "domo://me@api.domo.com?secret=hunter2",
    "domo://me@api.domo.com?secret=", "domo://me@api.domo.com#x", "domo://me@api.domo.com:x",
])  # fmt: skip
def test_invalid_url_or_secret_in_url_is_rejected(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        domo_address(url)
    assert caught.value.hint
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_client_and_secret_are_read_from_references(
    domo_server: DomoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    DomoDestination(domo_server.url(secret=f"file:{tmp_path}/secret"), settings).check()
    without = domo_server.url().replace(f"{CLIENT}@", "")
    with raises(SettingsError, without.partition("?")[0], hint="DOMO_CLIENT_ID"):
        DomoDestination(without, settings).check()
    monkeypatch.setenv("DOMO_CLIENT_ID", CLIENT)
    DomoDestination(without, settings).check()
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    with raises(SettingsError, "DOMO_CLIENT_SECRET"):
        DomoDestination(domo_server.url(), settings).check()
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "")
    with raises(SettingsError, "DOMO_CLIENT_SECRET"):
        DomoDestination(domo_server.url(), settings).check()
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "another")
    with raises(DestinationRejected, hint="scope data") as caught:
        DomoDestination(domo_server.url(), settings).check()
    assert caught.value.status == 401


def test_errors_never_contain_secret_or_token(
    domo_server: DomoServer, archived: Archived, settings: Settings, destination: Destination
) -> None:
    texts = [repr(destination), destination.name, str(vars(destination))]
    for status in (400, 401, 403, 500):
        domo_server.fail("GET /v1/datasets$", status, 99)
        with pytest.raises(CounterfoilError) as error:
            _open(domo_server, settings).load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
        texts.append(f"{error.value!r} {error.value} {error.value.hint}")
        domo_server.troubles.clear()
    domo_server.fail("oauth", 500, 99)
    with pytest.raises(TransientError) as error:
        _open(domo_server, settings).check()
    texts.append(f"{error.value!r} {error.value} {error.value.hint}")
    assert not [text for text in texts if SECRET in text or any(token in text for token in domo_server.tokens)]


def test_unreachable_host_raises_transient_error(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    with raises(TransientError, "127.0.0.1:1"):
        DomoDestination("domo://me@127.0.0.1:1", settings, wait_seconds=0.01).check()


class _Responses:
    """A server that sends the next response to each connection after the head of a request, and reads no more.

    With `then`, it waits for further data after the response, and then sends `then`.
    """

    def __init__(self, *responses: bytes, then: bytes = b"") -> None:
        self.heads: list[bytes] = []
        self._responses, self._then = responses, then
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._served = self._threads.submit(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        with self._listener, self._threads:
            self._served.result(20)

    def _serve(self) -> None:
        for response in self._responses:
            with self._listener.accept()[0] as connection, connection.makefile("rb") as lines:
                self.heads.append(b"".join(iter(lines.readline, b"\r\n")))
                connection.sendall(response)
                if self._then:
                    connection.recv(1)
                    connection.sendall(self._then)
                    connection.recv(1 << 16)

    def client(self, kind: type[DomoClient] = DomoClient) -> DomoClient:
        return kind(domo_address(f"domo://me@127.0.0.1:{self.port}"), DomoTokens(), most_megabytes=1, wait_seconds=0)


def _response(status: int, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


_TOKEN = _response(200, '{"access_token": "secret-token", "expires_in": 3599}')


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)


@pytest.fixture
def by_proxy(monkeypatch: pytest.MonkeyPatch, secret: None) -> Callable[[int], None]:
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return lambda port: monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{port}")


def test_proxy_password_is_sent_only_to_proxy(settings: Settings, by_proxy: Callable[[int], None]) -> None:
    with _Responses(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        by_proxy(proxy.port)
        with raises(SettingsError, f"127.0.0.1:{proxy.port}", code="proxy_login_required") as error:
            DomoDestination("domo://me@api.domo.com", settings, wait_seconds=0.01).check()
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT api.domo.com:443 ")
    assert b"Proxy-Authorization: Basic bWU6aHVudGVyMg==" in head
    assert SECRET.encode() not in head
    assert "hunter2" not in f"{error.value!r} {error.value} {error.value.hint}"


def test_untrusted_server_is_rejected_without_retry(settings: Settings, by_proxy: Callable[[int], None]) -> None:
    with _Responses(b"HTTP/1.1 200 OK\r\n\r\n", then=b"this is not TLS") as proxy:
        by_proxy(proxy.port)
        with raises(DestinationRejected, "api.domo.com", code="untrusted_certificate", hint="SSL_CERT_FILE"):
            DomoDestination("domo://me@api.domo.com", settings, wait_seconds=0.01).check()


@pytest.mark.usefixtures("secret")
def test_rejected_part_is_sent_once(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(bytes(8 << 20))
    with (
        _Responses(_TOKEN, _response(413, '{"statusReason": "Too Large"}')) as server,
        raises(DestinationRejected, 413, "Too Large") as caught,
    ):
        server.client().ask("PUT", "/v1/streams/1/executions/1/part/1", part=part)
    assert caught.value.status == 413
    assert f"content-length: {8 << 20}\r\n".encode() in server.heads[1].lower()


@pytest.mark.usefixtures("secret")
def test_response_over_limit_is_not_read() -> None:
    with (
        _Responses(_TOKEN, b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n") as server,
        raises(SettingsError, "127.0.0.1", "1 MB", code="response_too_large"),
    ):
        server.client().ask("GET", "/v1/datasets")


@pytest.mark.usefixtures("secret")
def test_redirect_is_not_followed() -> None:
    with (
        _Responses(_TOKEN, _response(302, "", "Location: http://127.0.0.1:1/")) as server,
        pytest.raises(DestinationRejected) as caught,
    ):
        server.client().ask("GET", "/v1/datasets")
    assert caught.value.status == 302


@pytest.mark.usefixtures("secret")
def test_retry_waits_for_retry_after() -> None:
    waits: list[float] = []

    class Recorded(DomoClient):
        def pause(self, seconds: float) -> None:
            waits.append(seconds)

    busy = [_response(429, "", f"Retry-After: {seconds}") for seconds in (7, 3600)]
    with _Responses(_TOKEN, *busy, _response(200, "[]")) as server:
        assert server.client(Recorded).ask("GET", "/v1/datasets") == []
    assert waits == [7, 30]


def test_queries_are_not_supported(settings: Settings) -> None:
    with raises(DestinationRejected, code="unsupported_queries"):
        DomoDestination("domo://me@api.domo.com", settings).query("SELECT 1")
