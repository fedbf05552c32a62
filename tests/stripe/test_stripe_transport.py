"""The network between this machine and Stripe: certificates, proxies and failed connections."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from stripe_server import KEY, StripeServer

from counterfoil.errors import CounterfoilError, SettingsError, StripeUnavailable
from counterfoil.http import async_bridge
from counterfoil.http.address import Proxy
from counterfoil.http.transport import unreachable
from counterfoil.stripe.address import address_of
from counterfoil.stripe.client import Client

MakeClient = Callable[..., Client]

STRIPE = address_of("https://api.stripe.com")
PROXY = Proxy("http://proxy.example:3128", "proxy.example:3128", {"Proxy-Authorization": "Basic aHVudGVyMg=="})
WHERE = ConnectionKey("api.stripe.com", 443, True, True, None, None, None)
REFUSED = ConnectionRefusedError(111, "Connection refused")
SSL_ERROR = aiohttp.ClientConnectorSSLError(WHERE, ssl.SSLError(1, "wrong version"))


@pytest.mark.parametrize(
    ("error", "code", "value", "retry", "sent"),
    [
        (aiohttp.ClientConnectorError(WHERE, REFUSED), "host_unreachable", "Connection refused", 1, 0),
        (aiohttp.ClientConnectorDNSError(WHERE, OSError(-2, "Name unknown")), "host_not_found", "Name unknown", 1, 0),
        (aiohttp.ClientProxyConnectionError(WHERE, REFUSED), "proxy_unreachable", "proxy.example:3128", 1, 0),
        (SSL_ERROR, "untrusted_certificate", "wrong version", 0, 0),
        (aiohttp.ConnectionTimeoutError(), "connect_timeout", "10 seconds", 1, 0),
        (TimeoutError(), "request_timeout", "100 seconds", 1, 1),
        (aiohttp.SocketTimeoutError(), "request_timeout", "100 seconds", 1, 1),
        (aiohttp.ServerDisconnectedError(), "response_interrupted", "ServerDisconnectedError", 1, 1),
        (aiohttp.ClientPayloadError(), "response_interrupted", "ClientPayloadError", 1, 1),
        (ConnectionResetError(104, "reset"), "response_interrupted", "ConnectionResetError", 1, 1),
    ],
)
def test_each_connection_error_has_a_code_a_host_and_a_hint(
    error: Exception, code: str, value: str, retry: bool, sent: bool
) -> None:
    failure = unreachable(error, STRIPE, PROXY, "/v1/charges", StripeUnavailable)
    assert type(failure.error) is StripeUnavailable
    assert failure.error.code == code
    assert value in failure.error.message
    assert code == "proxy_unreachable" or "api.stripe.com" in failure.error.message
    assert (failure.retry, failure.sent) == (retry, sent)
    assert failure.error.hint
    assert failure.error.path == "/v1/charges"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and api.stripe.test, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    names = "subjectAltName=IP:127.0.0.1,DNS:api.stripe.test"
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=test"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-addext", names]
    subprocess.run(["openssl", "req", "-x509", *options, *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[StripeServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = StripeServer(context)
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _no_certificates_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def test_untrusted_certificate_fails_at_once(tls_server: StripeServer, make_client: MakeClient) -> None:
    client = make_client(api_base=tls_server.url)
    with pytest.raises(StripeUnavailable, match="self-signed") as caught:
        async_bridge.run(client.get("/v1/charges"))
    assert caught.value.code == "untrusted_certificate"
    assert f"127.0.0.1:{tls_server.port}" in caught.value.message
    assert caught.value.hint is not None
    assert "SSL_CERT_FILE" in caught.value.hint
    assert (client.retries, client.requests, tls_server.received) == (0, {}, [])


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates_of_the_environment_are_trusted(
    tls_server: StripeServer,
    make_client: MakeClient,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    assert async_bridge.run(make_client(api_base=tls_server.url).get("/v1/charges")).body["object"] == "list"


def test_unreadable_certificates_are_a_settings_error(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE"):
        async_bridge.run(make_client(api_base="https://127.0.0.1:9").get("/v1/charges"))


def test_https_to_a_plain_http_server_fails_at_once(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client(api_base=server.url.replace("http:", "https:"))
    with pytest.raises(StripeUnavailable) as caught:
        async_bridge.run(client.get("/v1/charges"))
    assert caught.value.code == "untrusted_certificate"
    assert client.retries == 0


class Tunnel:
    """A proxy for CONNECT requests, one connection at a time; it records their heads."""

    def __init__(self, answer: bytes, target_port: int = 0) -> None:
        self.heads: list[bytes] = []
        self._answer, self._target_port = answer, target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near:
                self.heads.append(near.recv(65536))
                near.sendall(self._answer)
                if self._target_port:
                    with socket.create_connection(("127.0.0.1", self._target_port)) as far:
                        back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                        back.start()
                        _copy(near, far)
                        back.join(5)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def tunnel_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Tunnel]]:
    tunnels: list[Tunnel] = []

    def open_tunnel(answer: bytes, target_port: int = 0) -> Tunnel:
        tunnels.append(Tunnel(answer, target_port))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://jane:hunter2@127.0.0.1:{tunnels[-1].port}")
        monkeypatch.setenv("https_proxy", f"http://jane:hunter2@127.0.0.1:{tunnels[-1].port}")
        return tunnels[-1]

    yield open_tunnel
    for tunnel in tunnels:
        tunnel.close()


def test_proxy_forwards_the_request_without_seeing_the_key(
    tls_server: StripeServer,
    make_client: MakeClient,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    tunnel_to: Callable[..., Tunnel],
) -> None:
    tunnel = tunnel_to(b"HTTP/1.1 200 OK\r\n\r\n", tls_server.port)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    client = make_client(api_base="https://api.stripe.test")
    assert async_bridge.run(client.get("/v1/charges")).body["object"] == "list"
    async_bridge.run(client.close())
    assert tls_server.received[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "Proxy-Authorization" not in tls_server.received[0].headers
    assert tunnel.heads[0].startswith(b"CONNECT api.stripe.test:443 ")
    assert b"Proxy-Authorization: Basic amFuZTpodW50ZXIy" in tunnel.heads[0]
    assert KEY.encode() not in tunnel.heads[0]


@pytest.mark.parametrize(
    ("answer", "error_class", "code", "tries"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", SettingsError, "proxy_login_required", 1),
        (b"HTTP/1.1 503 Busy\r\n\r\n", StripeUnavailable, "proxy_error", 6),
    ],
)
def test_proxy_error_names_the_proxy_without_its_password(
    make_client: MakeClient,
    tunnel_to: Callable[..., Tunnel],
    answer: bytes,
    error_class: type[CounterfoilError],
    code: str,
    tries: int,
) -> None:
    tunnel = tunnel_to(answer)
    with pytest.raises(error_class) as caught:
        async_bridge.run(make_client(api_base="https://api.stripe.test").get("/v1/charges"))
    assert caught.value.code == code
    assert code == "proxy_login_required" or "503" in caught.value.message
    assert f"127.0.0.1:{tunnel.port}" in caught.value.message
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"
    assert len(tunnel.heads) == tries
