"""The network between here and Stripe: certificates, proxies, and connections that fail."""

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


@pytest.mark.parametrize(
    ("error", "words", "retry", "sent"),
    [
        (aiohttp.ClientConnectorError(WHERE, REFUSED), "api.stripe.com cannot be reached: Connection refused", 1, 0),
        (aiohttp.ClientConnectorDNSError(WHERE, OSError(-2, "Name unknown")), "cannot be resolved: Name unknown", 1, 0),
        (aiohttp.ClientProxyConnectionError(WHERE, REFUSED), "The proxy proxy.example:3128 cannot be reached", 1, 0),
        (aiohttp.ClientConnectorSSLError(WHERE, ssl.SSLError(1, "wrong version")), "not trusted: wrong version", 0, 0),
        (aiohttp.ConnectionTimeoutError(), "does not take a connection within 10 seconds", 1, 0),
        (TimeoutError(), "api.stripe.com does not answer within 100 seconds", 1, 1),
        (aiohttp.SocketTimeoutError(), "api.stripe.com does not answer within 100 seconds", 1, 1),
        (aiohttp.ServerDisconnectedError(), "broke off", 1, 1),
        (aiohttp.ClientPayloadError(), "broke off", 1, 1),
        (ConnectionResetError(104, "reset"), "broke off", 1, 1),
    ],
)
def test_each_failure_names_the_host_and_what_to_do(error: Exception, words: str, retry: bool, sent: bool) -> None:
    failure = unreachable(error, STRIPE, PROXY, "/v1/charges", StripeUnavailable)
    assert type(failure.error) is StripeUnavailable
    assert words in failure.error.message
    assert (failure.retry, failure.sent) == (retry, sent)
    assert failure.error.hint
    assert failure.error.path == "/v1/charges"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1 and api.stripe.test, signed by itself; the key is in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    names = "subjectAltName=IP:127.0.0.1,DNS:api.stripe.test"
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=test"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-addext", names]
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
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


def test_a_certificate_that_is_not_trusted_ends_it_at_once(tls_server: StripeServer, make_client: MakeClient) -> None:
    client = make_client(api_base=tls_server.url)
    with pytest.raises(StripeUnavailable, match=r"127\.0\.0\.1:\d+ is not trusted: self-signed") as caught:
        async_bridge.run(client.get("/v1/charges"))
    assert caught.value.hint is not None
    assert "SSL_CERT_FILE" in caught.value.hint
    assert (client.retries, client.requests, tls_server.asked) == (0, {}, [])


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_certificates_of_the_environment_are_trusted(
    tls_server: StripeServer,
    make_client: MakeClient,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    assert async_bridge.run(make_client(api_base=tls_server.url).get("/v1/charges")).body["object"] == "list"


def test_certificates_that_cannot_be_read_are_a_setting_to_mend(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE"):
        async_bridge.run(make_client(api_base="https://127.0.0.1:9").get("/v1/charges"))


def test_https_to_a_plain_server_ends_it_at_once(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client(api_base=server.url.replace("http:", "https:"))
    with pytest.raises(StripeUnavailable, match="not trusted"):
        async_bridge.run(client.get("/v1/charges"))
    assert client.retries == 0


class Tunnel:
    """A proxy that knows CONNECT, for one connection after the other, and what it was asked."""

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
                        back = threading.Thread(target=_pass_on, args=(far, near), daemon=True)
                        back.start()
                        _pass_on(near, far)
                        back.join(5)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
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


def test_a_request_goes_through_the_proxy_which_never_sees_the_key(
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
    assert tls_server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "Proxy-Authorization" not in tls_server.asked[0].headers
    assert tunnel.heads[0].startswith(b"CONNECT api.stripe.test:443 ")
    assert b"Proxy-Authorization: Basic amFuZTpodW50ZXIy" in tunnel.heads[0]
    assert KEY.encode() not in tunnel.heads[0]


@pytest.mark.parametrize(
    ("answer", "error_class", "words", "tries"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", SettingsError, "wants a login", 1),
        (b"HTTP/1.1 503 Busy\r\n\r\n", StripeUnavailable, "answers 503", 6),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_password(
    make_client: MakeClient,
    tunnel_to: Callable[..., Tunnel],
    answer: bytes,
    error_class: type[CounterfoilError],
    words: str,
    tries: int,
) -> None:
    tunnel = tunnel_to(answer)
    with pytest.raises(error_class, match=words) as caught:
        async_bridge.run(make_client(api_base="https://api.stripe.test").get("/v1/charges"))
    assert f"127.0.0.1:{tunnel.port}" in caught.value.message
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint} {caught.value.__context__!r}"
    assert len(tunnel.heads) == tries
