"""The checks before every route: host names, origins, sizes; headers, errors, the request log and the port."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlsplit

import pytest
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from counterfoil import logging
from counterfoil.app.app import App
from counterfoil.errors import AccountError, RunError, SettingsError, TransientError
from counterfoil.settings import Settings, load_settings
from counterfoil.web import events
from counterfoil.web.access.guard import MOST_BYTES, POLICY
from counterfoil.web.server import PageServer
from tests.web.browser import FOLLOWED, HOST, TYPED
from tests.web.conftest import MakeSite, Site

PASSWORD = "correct horse battery"
PART = FOLLOWED | {"hx-request": "true", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "accept": "*/*"}
ERRORS = {
    "settings": SettingsError("dataset 'Charges' not found", hint="Choose another.", code="dataset_not_found"),
    "account": AccountError("the key lacks a permission", hint="Add the permission."),
    "busy": TransientError("the file is locked", hint="Try again."),
    "run": RunError("the archive is deleted", hint="Run it again."),
    "unforeseen": ZeroDivisionError("sk_test_" + "51Counterfoil4242 is secret"),
}


def trying(_app: App) -> APIRouter:
    """Routes in place of pages."""
    router = APIRouter()

    @router.api_route("/fails/{how}", methods=["GET", "POST"])
    def fails(how: str) -> Response:
        raise ERRORS[how]

    @router.post("/size")
    async def size(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    @router.post("/typed")
    def typed(rows: int = Form()) -> Response:
        return PlainTextResponse(str(rows))

    @router.get("/breaks")
    def breaks() -> Response:
        def half() -> Iterator[bytes]:
            yield b"half"
            raise OSError("disk full")

        return StreamingResponse(half())

    return router


def watching(_app: App) -> APIRouter:
    """Routes that stream progress."""
    router = APIRouter()

    @router.get("/counts")
    def counts(request: Request) -> Response:
        seen = iter(["<b>1</b>", "<b>1</b>", "<b>2</b>\n<i>two\n\nlines</i>"])

        def look() -> events.Seen:
            html = next(seen)
            return events.Seen(html, last="lines" in html)

        return events.stream(request, look, every_seconds=0)

    @router.get("/lost")
    def lost(request: Request) -> Response:
        def look() -> events.Seen:
            raise SettingsError("the run was deleted")

        return events.stream(request, look)

    @router.get("/forever")
    def forever(request: Request) -> Response:
        return events.stream(request, lambda: events.Seen("still"), every_seconds=0.01)

    return router


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(pages=[trying, watching])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.localhost",
        "10.0.0.5:8321",
        "0.0.0.0:8321",
        "localhost@evil.example",
        "localhost/evil",
        "",
        "[::1",
        "127.0.0.1:8321, evil.example",
        "books.example.com",
    ],
)
def test_unknown_host_name_is_rejected(site: Site, host: str) -> None:
    answer = site.owner().ask("GET", "/health", headers=TYPED | {"host": host})
    assert answer.status == 421
    assert "ok" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost:9000", "LOCALHOST", "[::1]:8321", "127.0.0.2"])
def test_loopback_names_are_accepted_with_any_port(site: Site, host: str) -> None:
    assert site.browser(host=host).get("/health").status == 200


def test_public_name_is_accepted(make_site: MakeSite) -> None:
    site = make_site(PASSWORD, url="https://books.example.com")
    assert site.browser(host="books.example.com").get("/health").status == 200
    assert site.browser(host="books.example.com:443").get("/health").status == 200
    assert site.browser(host="evil.example").get("/health").status == 421


def test_page_on_all_interfaces_accepts_addresses_only(make_site: MakeSite) -> None:
    site = make_site(PASSWORD, host="0.0.0.0")
    assert site.browser(host="192.168.1.7:8321").get("/health").status == 200
    assert site.browser(host="evil.example:8321").get("/health").status == 421


CROSS = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", "origin": f"http://{HOST}"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": f"https://{HOST}"},
    {"origin": "http://127.0.0.1:8322"},
    {"origin": f"http://{HOST}.evil.example"},
    {},
]


@pytest.mark.parametrize("headers", CROSS)
def test_cross_origin_post_is_rejected(site: Site, headers: dict[str, str]) -> None:
    answer = site.owner().post("/size", {"a": "b"}, headers=headers | {"accept": "text/html"})
    assert answer.status == 403
    assert "Cross-origin" in answer.text


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": f"http://{HOST}"}])
def test_same_origin_post_is_accepted(site: Site, headers: dict[str, str]) -> None:
    assert site.owner().post("/size", {"a": "b"}, headers=headers).text == "3"


def test_public_https_url_requires_https_origin(make_site: MakeSite) -> None:
    site = make_site(PASSWORD, url="https://books.example.com")
    browser = site.browser(host="books.example.com")
    for origin, status in (("http://books.example.com", 403), ("https://books.example.com", 303)):
        assert browser.post("/login", {"password": PASSWORD}, headers={"origin": origin}).status == status


def test_other_sites_can_link_but_not_embed(site: Site) -> None:
    owner = site.owner()
    foreign = {"sec-fetch-site": "cross-site", "accept": "text/html"}
    linked = foreign | {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert owner.get("/nothing", headers=linked).status == 404
    for mode, dest in (("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe")):
        headers = foreign | {"sec-fetch-mode": mode, "sec-fetch-dest": dest}
        assert owner.get("/health", headers=headers).status == 403
        assert owner.get("/health", headers=headers | {"sec-fetch-site": "same-site"}).status == 403


def test_every_response_has_security_headers(site: Site) -> None:
    owner = site.owner()
    answers = [
        site.browser().get("/login"),
        site.browser().get("/nothing"),
        site.browser(host="evil.example").get("/"),
        owner.get("/nothing"),
        owner.get("/fails/unforeseen"),
        owner.post("/size", headers={}),
        owner.get("/static/app.css"),
        site.browser().get("/health"),
    ]
    assert [answer.status for answer in answers] == [200, 303, 421, 404, 500, 403, 200, 200]
    for answer in answers:
        assert answer["content-security-policy"] == POLICY
        assert answer["x-content-type-options"] == "nosniff"
        assert answer["x-frame-options"] == "DENY"
        assert answer["referrer-policy"] == "same-origin"
        assert answer["cross-origin-opener-policy"] == "same-origin"
        assert answer.get("server") is None
    kept = [answer["cache-control"] for answer in answers]
    assert kept == ["no-store"] * 6 + ["no-cache", "no-store"]


def test_content_policy_allows_own_files_only() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == rules["form-action"] == "'self'"
    assert "unsafe" not in POLICY


def test_versioned_files_are_cached_indefinitely(site: Site) -> None:
    assert "immutable" in site.browser().get("/static/app.css?v=0123456789")["cache-control"]
    assert "immutable" not in site.browser().get("/static/no.css?v=0123456789")["cache-control"]


@pytest.mark.parametrize(
    ("how", "status"), [("settings", 400), ("account", 422), ("busy", 503), ("run", 409), ("unforeseen", 500)]
)
def test_errors_show_message_and_hint(site: Site, how: str, status: int) -> None:
    error = ERRORS[how]
    answer = site.owner().post(f"/fails/{how}")
    assert answer.status == status
    if how == "unforeseen":
        assert "Internal error" in answer.text
        assert not any(word in answer.text for word in ("Traceback", "ZeroDivision", "secret", "fails/"))
        return
    text = unescape(answer.text)
    assert f">{error.message[:1].upper()}{error.message[1:]}</p>" in text
    assert f">{error.hint}</p>" in text
    assert (f'data-code="{error.code}"' in text) == (error.code is not None)


def test_unknown_name_responds_404(site: Site) -> None:
    assert site.owner().get("/fails/settings").status == 404


def test_htmx_error_is_a_fragment_with_a_target(site: Site) -> None:
    answer = site.owner().post("/fails/busy", headers=PART)
    assert (answer.status, answer["hx-retarget"], answer["hx-reswap"]) == (422, "#problem", "innerHTML")
    assert "The file is locked" in answer.text
    assert "<html" not in answer.text


def test_invalid_form_names_the_fields(site: Site) -> None:
    answer = site.owner().post("/typed", {"rows": "<script>alert(1)</script>"})
    assert answer.status == 400
    assert "Invalid fields: rows" in answer.text
    assert "<script>alert" not in answer.text


def test_script_gets_errors_as_plain_text(site: Site) -> None:
    headers = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "accept": "text/event-stream"}
    answer = site.owner().get("/fails/settings", headers=headers)
    assert answer.text == "Dataset 'Charges' not found\nChoose another.\n"
    assert site.browser().get("/fails/settings", headers=headers).status == 401


def test_broken_stream_aborts_the_response(site: Site) -> None:
    with pytest.raises(OSError, match="disk full"):
        site.owner().get("/breaks")


def test_large_request_is_rejected_with_any_content_length(site: Site) -> None:
    owner = site.owner()
    assert owner.ask("POST", "/size", headers=FOLLOWED, body=b"x" * MOST_BYTES).text == str(MOST_BYTES)
    for pieces in (1, 7):
        answer = owner.ask("POST", "/size", headers=FOLLOWED, body=b"x" * (MOST_BYTES + 1), pieces=pieces)
        assert answer.status == 413
    for length in ("-1", "many", "٣", str(MOST_BYTES + 1)):
        headers = FOLLOWED | {"content-length": length.encode().decode("latin-1")}
        assert owner.ask("POST", "/size", headers=headers).status == 413


def test_progress_sends_changes_and_an_end(site: Site) -> None:
    answer = site.owner().get("/counts", headers=FOLLOWED | {"accept": "text/event-stream"})
    assert answer["content-type"].startswith("text/event-stream")
    assert answer["cache-control"] == "no-store"
    assert answer.text == (
        "retry: 1000\n\n"
        "event: progress\ndata: <b>1</b>\n\n"
        "event: progress\ndata: <b>2</b>\ndata: <i>two\ndata: \ndata: lines</i>\n\n"
        "event: end\ndata: \n\n"
    )


def test_progress_of_deleted_record_ends(site: Site) -> None:
    answer = site.owner().get("/lost")
    assert answer.text.endswith("event: end\ndata: \n\n")
    assert "deleted" not in answer.text


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    logging.configure("json")
    yield
    logging.configure("text", level=30)


@pytest.mark.usefixtures("log_lines")
def test_request_log_omits_tokens_and_queries(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    owner = site.owner()
    owner.get("/nothing?email=jenny%40example.com")
    owner.get("/line%0A2027-01-01%20forged")
    owner.get("/fails/unforeseen")
    text = capsys.readouterr().err
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["client"] for line in lines if line["event"] == "signed in"] == ["127.0.0.1"]
    assert [(line["path"], line["status"]) for line in lines if line["event"] == "request"] == [
        ("/nothing", 404),
        ("/line%0A2027-01-01%20forged", 404),
        ("/fails/unforeseen", 500),
    ]
    assert not any(word in text for word in ("token", "jenny", *owner.cookies.values(), "51Counterfoil"))


def asked(url: str, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def test_server_accepts_its_link_and_stops(app: App) -> None:
    server = PageServer(app, lambda: {"ok": True, "node": "n1"}, announce=lambda _link: None, port=0, pages=[watching])
    server.start()
    try:
        assert asked(server.url, "/health").body == b'{"ok":true}'  # type: ignore[attr-defined]
        link = urlsplit(server.link())
        signed_in = asked(server.url, f"{link.path}?{link.query}")
        assert signed_in.status == 303
        cookie = signed_in.headers["set-cookie"].split(";")[0]
        health = asked(server.url, "/health", cookie=cookie)
        assert json.loads(health.body) == {"ok": True, "node": "n1"}  # type: ignore[attr-defined]

        viewer = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
        viewer.request("GET", "/forever", headers={"cookie": cookie})
        stream = viewer.getresponse()
        for _ in range(3):
            line = stream.readline()
        assert line == b"event: progress\n"
    finally:
        server.stop()
    assert b"still" in stream.read()
    viewer.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=5)


def test_unhealthy_service_responds_503_without_details(make_site: MakeSite) -> None:
    def broken() -> dict[str, object]:
        raise OSError("disk full")

    assert make_site(health=broken).browser().get("/health").status == 503
    unwell = make_site(health=lambda: {"ok": False, "node": "n1"}).browser().get("/health")
    assert (unwell.status, unwell.text) == (503, '{"ok":false}')


def test_port_in_use_is_rejected_at_creation(app: App) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as raised:
            PageServer(app, announce=print, port=port)
    assert f"port {port} on 127.0.0.1" in raised.value.message
    assert "--port" in str(raised.value.hint)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "books.lan"])
def test_address_beyond_loopback_requires_a_password(app: App, host: str) -> None:
    with pytest.raises(SettingsError, match=f"password is required .* on {host}$") as raised:
        PageServer(app, announce=print, host=host, port=0)
    assert "COUNTERFOIL_PASSWORD" in (raised.value.hint or "")


def test_public_url_requires_a_password(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.settings = Settings(home=app.settings.home, url="https://books.example.com")
    with pytest.raises(SettingsError, match=r"password is required .* at https://books"):
        PageServer(app, announce=print, port=0)
    app.settings = Settings(home=app.settings.home, url="https://books.example.com", password=PASSWORD)
    server = PageServer(app, announce=print, port=0)
    server.stop()
    assert server.link() == server.url == "https://books.example.com"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.9"])
def test_loopback_requires_no_password(app: App, host: str) -> None:
    server = PageServer(app, announce=print, host=host, port=0)
    server.stop()
    assert server.link().startswith(f"http://{host}:")


@pytest.mark.parametrize(
    "url", ["books.example.com", "ftp://books", "https://books/path", "https://u:p@books", "https://"]
)
def test_invalid_public_url_is_rejected(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_URL", url)
    with pytest.raises(SettingsError, match="invalid COUNTERFOIL_URL"):
        load_settings()


def test_forwarded_address_is_ignored_without_proxy(app: App) -> None:
    """Otherwise each guess could claim another address."""
    app.settings = Settings(home=app.settings.home, password=PASSWORD)
    server = PageServer(app, announce=print, port=0)
    server.start()
    try:
        statuses = [guess(server.url, f"10.0.0.{number}") for number in range(7)]
    finally:
        server.stop()
    assert statuses == [403] * 6 + [429]


def guess(url: str, address: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    headers = {"Origin": url, "X-Forwarded-For": address, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login", body="password=guessed", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status
