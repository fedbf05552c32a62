"""Which client of Domo's a URL names, where its secret is, and that it goes nowhere else."""

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
from tests.destinations.conftest import Archived
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
def test_a_url_has_one_spelling(url: str, name: str, tmp_path: Path) -> None:
    destination = open_destination(url, relative_to=tmp_path, settings=Settings(home=tmp_path))
    assert destination.name == name
    assert open_destination(name, relative_to=tmp_path, settings=Settings(home=tmp_path)).name == name


@pytest.mark.parametrize("url", [
    "domo:", "domo://", "domo://me@", "domo://me@api.domo.com/x", "domo://me@api.domo.com?folder=x", "domo://[x",
    "domo://me@api.domo.com?prefix=%00", "domo://me:hunter2@api.domo.com", "domo://me@api.domo.com?secret=hunter2",
    "domo://me@api.domo.com?secret=", "domo://me@api.domo.com#x", "domo://me@api.domo.com:x",
])  # fmt: skip
def test_a_url_that_names_no_client_or_a_secret_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        domo_address(url)
    assert refused.value.hint
    assert "hunter2" not in f"{refused.value} {refused.value.hint}"


def test_client_and_secret_are_found_where_the_url_says(
    domo_server: DomoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    DomoDestination(domo_server.url(secret=f"file:{tmp_path}/secret"), settings).check()
    without = domo_server.url().replace(f"{CLIENT}@", "")
    with pytest.raises(SettingsError, match="names no client") as missing:
        DomoDestination(without, settings).check()
    assert "DOMO_CLIENT_ID" in str(missing.value.hint)
    monkeypatch.setenv("DOMO_CLIENT_ID", CLIENT)
    DomoDestination(without, settings).check()
    monkeypatch.delenv("DOMO_CLIENT_SECRET")
    with pytest.raises(SettingsError, match="DOMO_CLIENT_SECRET is not set"):
        DomoDestination(domo_server.url(), settings).check()
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "")
    with pytest.raises(SettingsError, match="DOMO_CLIENT_SECRET is not set"):
        DomoDestination(domo_server.url(), settings).check()
    monkeypatch.setenv("DOMO_CLIENT_SECRET", "another")
    with pytest.raises(DestinationRejected, match="does not take the client id and secret"):
        DomoDestination(domo_server.url(), settings).check()


def test_a_place_that_is_not_there_is_told_and_no_secret_is(
    domo_server: DomoServer, archived: Archived, settings: Settings, destination: Destination
) -> None:
    told = [repr(destination), destination.name, str(vars(destination))]
    for status in (400, 401, 403, 500):
        domo_server.fail("GET /v1/datasets$", status, 99)
        with pytest.raises(CounterfoilError) as error:
            _open(domo_server, settings).load(_load(), _SCHEMA, archived(_SCHEMA, _ROWS))
        told.append(f"{error.value!r} {error.value} {error.value.hint}")
        domo_server.troubles.clear()
    domo_server.fail("oauth", 500, 99)
    with pytest.raises(TransientError) as error:
        _open(domo_server, settings).check()
    told.append(f"{error.value!r} {error.value} {error.value.hint}")
    assert not [text for text in told if SECRET in text or any(token in text for token in domo_server.tokens)]


def test_nobody_there_is_worth_another_try(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1 cannot be reached"):
        DomoDestination("domo://me@127.0.0.1:1", settings, wait_seconds=0.01).check()


class _Answers:
    """A socket that gives the next answer to each connection, once it has the head of a request, and reads no more.

    With `then`, it waits for what comes after the answer, and sends that.
    """

    def __init__(self, *answers: bytes, then: bytes = b"") -> None:
        self.heads: list[bytes] = []
        self._answers, self._then = answers, then
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
        for answer in self._answers:
            with self._listener.accept()[0] as connection, connection.makefile("rb") as lines:
                self.heads.append(b"".join(iter(lines.readline, b"\r\n")))
                connection.sendall(answer)
                if self._then:
                    connection.recv(1)
                    connection.sendall(self._then)
                    connection.recv(1 << 16)

    def client(self, kind: type[DomoClient] = DomoClient) -> DomoClient:
        return kind(domo_address(f"domo://me@127.0.0.1:{self.port}"), DomoTokens(), most_megabytes=1, wait_seconds=0)


def _answer(status: int, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


_TOKEN = _answer(200, '{"access_token": "told-to-nobody", "expires_in": 3599}')


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)


@pytest.fixture
def by_proxy(monkeypatch: pytest.MonkeyPatch, secret: None) -> Callable[[int], None]:
    for name in ("https_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return lambda port: monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{port}")


def test_a_proxy_is_asked_and_its_password_is_told_to_nobody_else(
    settings: Settings, by_proxy: Callable[[int], None]
) -> None:
    with _Answers(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        by_proxy(proxy.port)
        with pytest.raises(SettingsError, match=r"The proxy 127\.0\.0\.1:\d+ wants a login") as error:
            DomoDestination("domo://me@api.domo.com", settings, wait_seconds=0.01).check()
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT api.domo.com:443 ")
    assert b"Proxy-Authorization: Basic bWU6aHVudGVyMg==" in head
    assert SECRET.encode() not in head
    assert "hunter2" not in f"{error.value!r} {error.value} {error.value.hint}"


def test_a_server_that_is_not_trusted_is_rejected_at_once(settings: Settings, by_proxy: Callable[[int], None]) -> None:
    with _Answers(b"HTTP/1.1 200 OK\r\n\r\n", then=b"this is not TLS") as proxy:
        by_proxy(proxy.port)
        with pytest.raises(DestinationRejected, match=r"api\.domo\.com is not trusted") as error:
            DomoDestination("domo://me@api.domo.com", settings, wait_seconds=0.01).check()
    assert "SSL_CERT_FILE" in str(error.value.hint)


@pytest.mark.usefixtures("secret")
def test_a_part_that_is_refused_before_it_is_read_is_sent_once(tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(bytes(8 << 20))
    with (
        _Answers(_TOKEN, _answer(413, '{"statusReason": "Too Large"}')) as server,
        pytest.raises(DestinationRejected, match=r"refuses \(413\): Too Large"),
    ):
        server.client().ask("PUT", "/v1/streams/1/executions/1/part/1", part=part)
    assert f"content-length: {8 << 20}\r\n".encode() in server.heads[1].lower()


@pytest.mark.usefixtures("secret")
def test_an_answer_over_the_limit_is_not_read() -> None:
    with (
        _Answers(_TOKEN, b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n") as server,
        pytest.raises(SettingsError, match="exceeds the limit of 1 MB"),
    ):
        server.client().ask("GET", "/v1/datasets")


@pytest.mark.usefixtures("secret")
def test_a_redirect_is_not_followed() -> None:
    with (
        _Answers(_TOKEN, _answer(302, "", "Location: http://127.0.0.1:1/")) as server,
        pytest.raises(DestinationRejected, match=r"refuses \(302\)"),
    ):
        server.client().ask("GET", "/v1/datasets")


@pytest.mark.usefixtures("secret")
def test_a_retry_waits_as_long_as_domo_asks_for() -> None:
    waits: list[float] = []

    class Recorded(DomoClient):
        def pause(self, seconds: float) -> None:
            waits.append(seconds)

    busy = [_answer(429, "", f"Retry-After: {seconds}") for seconds in (7, 3600)]
    with _Answers(_TOKEN, *busy, _answer(200, "[]")) as server:
        assert server.client(Recorded).ask("GET", "/v1/datasets") == []
    assert waits == [7, 30]


def test_it_answers_no_questions(settings: Settings) -> None:
    with pytest.raises(DestinationRejected, match="answers no questions"):
        DomoDestination("domo://me@api.domo.com", settings).query("SELECT 1")
