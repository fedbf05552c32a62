"""What the client sends, what it makes of answers, and what never leaves it."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from log_lines import logged
from stripe_server import KEY, Asked, Says, StripeServer

from counterfoil import __version__
from counterfoil.errors import (
    AccountError,
    CounterfoilError,
    KeyRejected,
    PermissionMissing,
    RateLimited,
    RunError,
    SettingsError,
    StripeUnavailable,
)
from counterfoil.http import async_bridge
from counterfoil.http.transport import Failure, Reply
from counterfoil.settings import Settings
from counterfoil.stripe.address import STRIPE, address_of
from counterfoil.stripe.client import API_VERSION, AccountIdentity, Client, Params
from counterfoil.stripe.key import Key
from counterfoil.stripe.responses import Question, read
from counterfoil.stripe.retries import Backoff

MakeClient = Callable[..., Client]

JSON = {"Request-Id": "req_7", "Content-Type": "application/json"}
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
HTML = {"Content-Type": "text/html; charset=utf-8"}
GATED = "Your account is not set up to use Issuing. Please visit https://dashboard.stripe.com/issuing/overview."
LACKS_CHARGES = (
    "The provided key 'rk_test_***abc' does not have the required permissions for this endpoint on account "
    "'acct_1Sandbox'. Having the 'rak_charge_read' permission would allow this request to continue."
)


def refusal(status: int, *, headers: dict[str, str] | None = None, **error: Any) -> Says:
    return Says(status, orjson.dumps({"error": {"type": "invalid_request_error"} | error}), JSON | (headers or {}))


def ok(body: object, **headers: str) -> Says:
    return Says(200, orjson.dumps(body), JSON | headers)


def in_turn(*says: Says) -> Callable[[Asked], Says]:
    """One answer after the other; the last one stays."""
    left = list(says)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


def get(client: Client, path: str = "/v1/charges", params: Params | None = None, version: str | None = None) -> Any:
    return async_bridge.run(client.get(path, params, version=version))


def test_a_request_carries_key_version_name_and_asks_for_gzip(server: StripeServer, make_client: MakeClient) -> None:
    get(make_client())
    sent = server.asked[0].headers
    assert sent["Authorization"] == f"Bearer {KEY}"
    assert sent["Stripe-Version"] == API_VERSION == "2026-05-27.dahlia"
    assert sent["User-Agent"] == f"counterfoil/{__version__}"
    assert sent["Accept-Encoding"] == "gzip"
    assert "Stripe-Account" not in sent


def test_the_connected_account_and_another_version_are_sent_when_given(
    server: StripeServer, make_client: MakeClient
) -> None:
    get(make_client(stripe_account="acct_1Connected"), version="2020-08-27")
    assert server.asked[0].headers["Stripe-Account"] == "acct_1Connected"
    assert server.asked[0].headers["Stripe-Version"] == "2020-08-27"


def test_an_organization_key_names_the_account_as_its_context(server: StripeServer, make_client: MakeClient) -> None:
    get(make_client("sk_org_live_AbcDefGhiJkl", stripe_account="acct_1Connected"))
    assert server.asked[0].headers["Stripe-Context"] == "acct_1Connected"
    assert "Stripe-Account" not in server.asked[0].headers


def test_parameters_arrive_as_stripe_wants_them(server: StripeServer, make_client: MakeClient) -> None:
    params = {"limit": 100, "created[gte]": 1680000000, "expand": ["data.a", "data.b"], "pending": True, "q": "a&b=ü +"}
    get(make_client(), "/v1/invoiceitems?subscription=sub_1", params)
    assert server.asked[0].query == [
        ("subscription", "sub_1"),
        ("limit", "100"),
        ("created[gte]", "1680000000"),
        ("expand[]", "data.a"),
        ("expand[]", "data.b"),
        ("pending", "true"),
        ("q", "a&b=ü +"),
    ]


def test_the_preview_is_posted_as_a_form(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    async_bridge.run(client.post("/v1/invoices/create_preview", {"subscription": "sub_1", "expand": ["lines"]}))
    assert (server.asked[0].method, server.asked[0].query) == ("POST", [])
    assert server.asked[0].form == [("subscription", "sub_1"), ("expand[]", "lines")]
    assert client.requests == {"POST /v1/invoices/create_preview": 1}


@pytest.mark.parametrize("path", ["/v1/charges", "/v1/invoices", "/v1/invoices/create_preview/", ""])
def test_nothing_else_is_ever_posted(server: StripeServer, make_client: MakeClient, path: str) -> None:
    with pytest.raises(ValueError, match="not a read"):
        async_bridge.run(make_client().post(path))
    assert server.asked == []


@pytest.mark.parametrize(
    "path",
    ["", "v1/charges", "//evil.example/v1", "https://evil.example/v1", "/v1/../x", "/v1/charges/a b", "@evil/v1"],
)
def test_a_path_cannot_lead_elsewhere(server: StripeServer, make_client: MakeClient, path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        get(make_client(), path)
    assert server.asked == []


def test_an_id_with_a_slash_stays_one_part_of_the_path(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    get(client, "/v1/coupons/50%2Foff%20now")
    assert client.requests == {"GET /v1/coupons/{id}": 1}
    assert server.asked[0].path == "/v1/coupons/50/off now"


def test_an_answer_brings_body_stripes_clock_request_id_and_size(server: StripeServer, make_client: MakeClient) -> None:
    packed = gzip.compress(b'{"object": "list", "data": [' + b"1," * 5000 + b"1]}")
    date = {"Date": "Tue, 14 Nov 2023 22:13:20 GMT", "Content-Encoding": "gzip"}
    server.answers = lambda asked: Says(200, packed, JSON | date)
    client = make_client()
    answer = get(client)
    assert answer.body["data"] == [1] * 5001
    assert answer.date == 1_700_000_000
    assert answer.request_id == "req_7"
    assert answer.bytes == len(packed) == client.bytes


def test_connections_are_used_again(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    for _ in range(5):
        get(client)
    assert len(server.connections) == 1


# One row for each reaction: what Stripe says, tries made, the error that remains, words in its message.
REACTIONS: dict[str, tuple[Says, int, type[CounterfoilError], str]] = {
    "400": (refusal(400, message="Unknown parameter: x"), 1, RunError, "Unknown parameter: x"),
    "400 that should be retried": (refusal(400, headers={"Stripe-Should-Retry": "true"}), 6, RunError, "400"),
    "400 of a gated product": (refusal(400, message=GATED), 1, AccountError, "cannot be read on this account"),
    "401": (refusal(401, message="Invalid API Key provided: sk_test_***4242"), 1, KeyRejected, "sk_test_…4242"),
    "402": (refusal(402, message="Declined"), 1, RunError, "Declined"),
    "403": (refusal(403, message=LACKS_CHARGES), 1, PermissionMissing, "lacks rak_charge_read"),
    "403 without a name": (refusal(403, message="No."), 1, PermissionMissing, "may not read this: No."),
    "404": (refusal(404, code="resource_missing", message="No such charge"), 1, RunError, "No such charge"),
    "408": (Says(408, b"<html>Timeout</html>", HTML), 6, StripeUnavailable, "408"),
    "409": (refusal(409, message="conflict"), 6, StripeUnavailable, "409"),
    "424": (refusal(424, message="depends"), 6, StripeUnavailable, "424"),
    "429": (refusal(429, headers={"Stripe-Rate-Limited-Reason": "endpoint-rate"}), 6, RateLimited, "endpoint-rate"),
    "429 of a lock": (refusal(429, code="lock_timeout"), 6, RateLimited, "lock_timeout"),
    "429 that should not be": (refusal(429, headers={"Stripe-Should-Retry": "false"}), 1, RateLimited, "429"),
    "500": (refusal(500, message="oops"), 6, StripeUnavailable, "500: oops"),
    "500 that should not be": (refusal(500, headers={"Stripe-Should-Retry": "false"}), 1, StripeUnavailable, "500"),
    "502 as a page": (Says(502, b"<html>Bad gateway</html>", HTML), 6, StripeUnavailable, "502"),
    "503 of nothing": (Says(503, b"", {}), 6, StripeUnavailable, "503"),
    "504": (refusal(504), 6, StripeUnavailable, "504"),
    "cut before the head": (Says(cut=0), 6, StripeUnavailable, "broke off"),
    "half a body": (Says(cut=10), 6, StripeUnavailable, "broke off"),
    "half a gzip": (
        Says(body=gzip.compress(b'{"object": "list"}')[:-9], headers=JSON | {"Content-Encoding": "gzip"}),
        6,
        StripeUnavailable,
        "broke off",
    ),
    "half a JSON": (Says(body=b'{"object": "li', headers=JSON), 6, StripeUnavailable, "not whole JSON"),
    "a page": (Says(body=b"<html>Log in</html>", headers=HTML), 6, StripeUnavailable, "does not answer like Stripe"),
    "a refusing page": (Says(403, b"<html>No</html>", HTML), 1, SettingsError, "does not answer like Stripe"),
    "JSON of another program": (Says(404, b'{"detail": "Not Found"}', JSON), 1, SettingsError, "like Stripe"),
    "an empty answer": (Says(200, b"", HTML), 6, StripeUnavailable, "does not answer like Stripe"),
    "a list": (ok([1, 2]), 6, StripeUnavailable, "does not answer like Stripe"),
    "an object of someone else": (Says(200, b'{"ok": true}', {}), 6, StripeUnavailable, "does not answer like Stripe"),
    "an empty object": (ok({}), 6, StripeUnavailable, "an empty object"),
    "an error behind 200": (
        ok({"error": {"message": "We are sorry", "code": "oops"}}),
        6,
        StripeUnavailable,
        "200 with an error: We are sorry",
    ),
    "an error of text behind 200": (ok({"error": "We are sorry"}), 6, StripeUnavailable, "We are sorry"),
    "201": (Says(201, b'{"object": "list"}', JSON), 6, StripeUnavailable, "answers 201"),
    "204": (Says(204, b"", JSON), 6, StripeUnavailable, "answers 204"),
    "206": (Says(206, b'{"object": "list", "data": []}', JSON), 6, StripeUnavailable, "answers 206"),
    "206 of an error": (refusal(206, message="half"), 6, StripeUnavailable, "answers 206"),
    "a redirect": (
        Says(302, b"", {"Location": "https://evil.example/?key=1"}),
        1,
        SettingsError,
        "a redirect to evil.example (302)",
    ),
    "a redirect that explains itself": (
        refusal(307, message="Elsewhere", headers={"Location": "https://evil.example"}),
        1,
        SettingsError,
        "a redirect to evil.example (307)",
    ),
    "a redirect to nowhere": (Says(301, b"", {"Location": "https://[evil"}), 1, SettingsError, "a redirect (301)"),
}


@pytest.mark.parametrize("name", REACTIONS)
def test_every_answer_has_its_reaction(server: StripeServer, make_client: MakeClient, name: str) -> None:
    says, tries, error_class, words = REACTIONS[name]
    server.answers = lambda asked: says
    client = make_client()
    with pytest.raises(CounterfoilError) as caught:
        get(client)
    error = caught.value
    assert type(error) is error_class
    assert words in error.message
    assert len(server.asked) == tries
    assert client.retries == tries - 1
    assert client.requests == {"GET /v1/charges": tries}
    assert error.path == "/v1/charges"
    assert error.hint
    if says.headers.get("Request-Id") and says.cut is None and says.status != 200:
        assert error.code == orjson.loads(says.body or b"{}").get("error", {}).get("code") or says.status < 400
        assert error.request_id == "req_7"
        assert error.status == says.status


@pytest.mark.parametrize("name", [name for name, row in REACTIONS.items() if row[1] > 1])
def test_what_is_tried_again_succeeds_when_stripe_recovers(
    server: StripeServer, make_client: MakeClient, name: str
) -> None:
    server.answers = in_turn(*[REACTIONS[name][0]] * 5, ok({"object": "charge"}))
    client = make_client()
    assert get(client).body == {"object": "charge"}
    assert client.retries == 5


@pytest.mark.parametrize("date", [None, "today", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_an_answer_without_a_valid_date_is_not_accepted(date: str | None) -> None:
    headers = {"Request-Id": "req_1"} | ({} if date is None else {"Date": date})
    failure = read(
        Question(address_of(STRIPE), Key(KEY), "/v1/charges"), Reply(200, headers, b'{"object": "list"}', 18)
    )
    assert isinstance(failure, Failure)
    assert type(failure.error) is StripeUnavailable
    assert "Date header" in failure.error.message
    assert (failure.retry, failure.error.request_id) == (True, "req_1")


def test_a_login_page_in_the_place_of_stripe_is_transient() -> None:
    reply = Reply(200, {"Date": DATE, **HTML}, b"<html>Log in</html>", 19)
    failure = read(Question(address_of(STRIPE), Key(KEY), "/v1/charges"), reply)
    assert isinstance(failure, Failure)
    assert type(failure.error) is StripeUnavailable
    assert (failure.retry, failure.from_api) == (True, False)


def test_an_object_with_a_field_called_error_is_an_answer(server: StripeServer, make_client: MakeClient) -> None:
    body = {"object": "scheduled_query_run", "id": "sqr_1", "error": {"message": "A query that failed"}}
    server.answers = lambda asked: ok(body)
    assert get(make_client()).body == body


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 0 "}, 0),
        ({"Retry-After": "-7"}, 0),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "9" * 400}, 0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:14:00 GMT", "Date": DATE}, 40),
        ({"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT", "Date": DATE}, 0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:14:00 GMT"}, 0),
        ({}, 0),
    ],
)
@pytest.mark.parametrize("status", [200, 206, 429, 503])
def test_retry_after_is_read_in_both_its_forms(status: int, headers: dict[str, str], seconds: float) -> None:
    failure = read(Question(address_of(STRIPE), Key(KEY), "/v1/charges"), Reply(status, headers, b"{}", 2))
    assert isinstance(failure, Failure)
    assert (failure.retry, failure.retry_after) == (True, seconds)


def test_a_request_is_retried_as_long_as_its_time_lasts(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = in_turn(*[refusal(500)] * 20, ok({"object": "list"}))
    client = make_client(backoff=Backoff(base_seconds=0))
    assert get(client).body == {"object": "list"}
    assert client.retries == 20


def test_the_time_for_retries_is_a_setting(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = lambda asked: refusal(500, headers={"Retry-After": "3"})
    quick = Settings(rate_global=1e6, rate_endpoint=1e6, retry_seconds=2.5)
    with pytest.raises(StripeUnavailable):
        get(make_client(settings=quick, backoff=None))
    assert len(server.asked) == 1


def test_the_wait_for_a_turn_takes_no_time_of_the_retries(server: StripeServer, make_client: MakeClient) -> None:
    one_at_a_time = Settings(rate_global=1e6, rate_endpoint=1e6, in_flight=1)
    client = make_client(settings=one_at_a_time, backoff=Backoff(budget_seconds=1, base_seconds=0))

    async def asked_behind_another() -> object:
        permit = await client.limiter.acquire("GET /v1/charges")
        asked = asyncio.create_task(client.get("/v1/charges"))
        await asyncio.wait([asked], timeout=1.1)
        client.limiter.release(permit)
        return (await asked).body

    server.answers = in_turn(refusal(500), ok({"object": "list"}))
    assert async_bridge.run(asked_behind_another()) == {"object": "list"}


def test_a_server_that_never_answers_is_given_up_when_the_time_is_over(
    server: StripeServer, make_client: MakeClient
) -> None:
    go_on = threading.Event()

    def silent(asked: Asked) -> Says:
        go_on.wait(10)
        return Says()

    server.answers = silent
    client = make_client(backoff=Backoff(budget_seconds=0.3, base_seconds=0))
    try:
        with pytest.raises(StripeUnavailable, match="does not answer"):
            get(client)
    finally:
        go_on.set()
    assert client.requests == {"GET /v1/charges": 1}


def test_one_wrong_date_does_not_change_the_time(server: StripeServer, make_client: MakeClient) -> None:
    wrong = "Tue, 14 Nov 2023 23:13:20 GMT"
    for dates in ([DATE, wrong], [wrong, DATE], [DATE, wrong, DATE], [DATE, DATE, DATE.replace("2023", "1999")]):
        server.answers = in_turn(*[ok({"object": "list"}, Date=date) for date in dates])
        client = make_client()
        for _ in dates:
            get(client)
        assert client.date == 1_700_000_000


def test_an_error_keeps_stripes_code_and_parameter(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = lambda asked: refusal(400, code="resource_missing", param="starting_after", message="gone")
    with pytest.raises(RunError) as caught:
        get(make_client())
    assert (caught.value.code, caught.value.param, caught.value.status) == ("resource_missing", "starting_after", 400)


@pytest.mark.parametrize(
    ("key", "page"),
    [
        ("sk_test_AbcDefGhiJklMno", "https://dashboard.stripe.com/test/apikeys"),
        ("rk_live_AbcDefGhiJklMno", "https://dashboard.stripe.com/apikeys"),
    ],
)
def test_a_refused_key_is_told_with_its_page_and_where_to_set_another(
    server: StripeServer, make_client: MakeClient, key: str, page: str
) -> None:
    server.answers = lambda asked: refusal(401)
    with pytest.raises(KeyRejected) as caught:
        get(make_client(key))
    assert caught.value.hint == f"Look up or make a key at {page}, and set STRIPE_API_KEY to it."


@pytest.mark.parametrize("base", ["api.stripe.com", "127.0.0.1:8322", "localhost:8322", "user:secret@api.stripe.com"])
def test_an_address_without_its_scheme_is_told_what_lacks(base: str) -> None:
    with pytest.raises(SettingsError, match="has no https://") as caught:
        address_of(base)
    assert "STRIPE_API_BASE" in (caught.value.hint or "")
    assert "secret" not in str(caught.value)


def test_a_missing_permission_is_named_with_the_page_where_it_is_given(
    server: StripeServer, make_client: MakeClient
) -> None:
    server.answers = lambda asked: refusal(403, message=LACKS_CHARGES)
    with pytest.raises(PermissionMissing) as caught:
        get(make_client("rk_live_AbcDefGhiJklMno"))
    assert caught.value.permission == "rak_charge_read"
    assert caught.value.hint is not None
    assert "https://dashboard.stripe.com/apikeys" in caught.value.hint
    assert "rak_charge_read" in caught.value.hint


def test_each_retry_writes_a_line_with_its_reason_and_the_third_is_a_warning(
    server: StripeServer, make_client: MakeClient
) -> None:
    oops = refusal(500, message="oops " * 100)
    server.answers = in_turn(oops, oops, oops, refusal(429, code="lock_timeout"), ok({"object": "list"}))
    with logged() as lines:
        get(make_client())
    assert [(line["level"], line["attempt"], line["endpoint"], line["request_id"]) for line in lines] == [
        ("debug", 1, "/v1/charges", "req_7"),
        ("debug", 2, "/v1/charges", "req_7"),
        ("warning", 3, "/v1/charges", "req_7"),
        ("debug", 4, "/v1/charges", "req_7"),
    ]
    assert "oops" in lines[0]["reason"]


def test_a_line_about_a_retry_fits_a_terminal(
    server: StripeServer, make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = lambda asked: refusal(500, message="oops " * 100)
    with pytest.raises(StripeUnavailable):
        get(make_client())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1  # one warning in ten seconds, however many requests are in trouble
    assert all(len(line) <= 125 and "oops" in line for line in lines)


def test_the_waits_are_drawn_from_a_growing_and_bounded_range(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = lambda asked: refusal(500)
    client = make_client(backoff=Backoff(tries=9, base_seconds=0.001, cap_seconds=0.004))
    with logged() as lines, pytest.raises(StripeUnavailable):
        get(client)
    waits = [line["wait_seconds"] for line in lines]
    assert len(waits) == 8
    assert all(0 <= wait <= min(0.004, 0.001 * 2**number) + 0.0005 for number, wait in enumerate(waits))


def test_a_429_slows_down_the_account_for_all_its_clients(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = in_turn(
        refusal(429, headers={"Stripe-Rate-Limited-Reason": "endpoint-concurrency"}), ok({"object": "list"})
    )
    client, other = make_client(), make_client()
    assert client.slots("/v1/charges") == other.slots("/v1/charges") == 4
    get(client)
    assert client.slots("/v1/charges") == other.slots("/v1/charges") == 1
    assert client.slots("/v1/refunds") == 4


def test_a_lock_timeout_changes_no_limit(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = in_turn(refusal(429, code="lock_timeout"), ok({"object": "list"}))
    client = make_client()
    get(client)
    assert client.slots("/v1/charges") == 4


def test_a_cancelled_request_gives_its_slot_back(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client(settings=Settings(rate_global=1e6, rate_endpoint=1e6, in_flight=1))
    seen, go_on = threading.Event(), threading.Event()

    def slow(asked: Asked) -> Says:
        seen.set()
        go_on.wait(10)
        return ok({"object": "list"})

    async def cancel_in_flight() -> object:
        running = asyncio.create_task(client.get("/v1/charges"))
        await asyncio.to_thread(seen.wait, 10)
        running.cancel()
        await asyncio.wait([running])
        go_on.set()
        return (await client.get("/v1/charges")).body

    server.answers = slow
    assert async_bridge.run(asyncio.wait_for(cancel_in_flight(), 20)) == {"object": "list"}
    # Stripe has seen the cancelled one, too.
    assert client.requests == {"GET /v1/charges": 2}


def test_a_refused_connection_names_the_host_and_is_no_request(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    server.stop()
    with pytest.raises(StripeUnavailable) as caught:
        get(client)
    assert f"127.0.0.1:{server.port} cannot be reached: " in caught.value.message
    assert caught.value.hint == f"Check the network, and that 127.0.0.1:{server.port} can be reached from here."
    assert client.requests == {}
    assert client.retries == 5


def test_a_closed_client_says_so(make_client: MakeClient) -> None:
    client = make_client()
    get(client)
    async_bridge.run(client.close())
    async_bridge.run(client.close())
    with pytest.raises(RunError, match="closed"):
        get(client)


def test_a_client_leaves_nothing_open_behind_it(server: StripeServer, settings: Settings) -> None:
    async def use() -> None:
        async with Client(KEY, api_base=server.url, settings=settings) as client:
            await client.get("/v1/charges")

    async_bridge.run(use())
    gc.collect()  # an open session or connection would warn, and warnings are errors


# Who is it?

ACCOUNT = {"object": "account", "id": "acct_1Own", "settings": {"dashboard": {"display_name": "Rocket Rides"}}}


@pytest.mark.parametrize(
    ("says", "chosen", "expected"),
    [
        (ok(ACCOUNT), {}, AccountIdentity("acct_1Own", False, "Rocket Rides")),
        (ok(ACCOUNT), {"key": "rk_live_AbcDefGhiJklMno"}, AccountIdentity("acct_1Own", True, "Rocket Rides")),
        (ok({"object": "account", "id": "acct_1Own"}), {}, AccountIdentity("acct_1Own", False)),
        (
            refusal(403, message=LACKS_CHARGES.replace("rak_charge_read", "")),
            {},
            AccountIdentity("acct_1Sandbox", False),
        ),
        (refusal(403, message=LACKS_CHARGES), {"stripe_account": "acct_1Sub"}, AccountIdentity("acct_1Sub", False)),
        (refusal(403, message="No."), {}, None),
        (refusal(404, message="Unrecognized request URL"), {}, None),
    ],
)
def test_the_account_is_told_as_well_as_stripe_tells_it(
    server: StripeServer, make_client: MakeClient, says: Says, chosen: dict[str, str], expected: AccountIdentity | None
) -> None:
    server.answers = lambda asked: says
    client = make_client(**chosen)
    assert async_bridge.run(client.account()) == (expected or AccountIdentity(f"key_{client.fingerprint}", False))
    assert async_bridge.run(client.account()).livemode is client.livemode
    assert len(server.asked) == 1


def test_a_403_that_names_permission_and_account_tells_the_account(
    server: StripeServer, make_client: MakeClient
) -> None:
    server.answers = lambda asked: refusal(403, message=LACKS_CHARGES)
    assert async_bridge.run(make_client().account()).id == "acct_1Sandbox"


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": []},
        {"object": "account"},
        {"object": "account", "id": None},
        {"object": "account", "id": ""},
        {"object": "account", "id": 7},
        {"id": "acct_1Own"},
        {"error": {"message": "We are sorry"}},
        {},
    ],
)
def test_only_an_account_with_its_id_tells_the_account(
    server: StripeServer, make_client: MakeClient, body: dict[str, Any]
) -> None:
    server.answers = lambda asked: ok(body)
    client = make_client(backoff=Backoff(tries=2, base_seconds=0))
    with pytest.raises(StripeUnavailable):
        async_bridge.run(client.account())
    assert len(server.asked) == 2
    server.answers = in_turn(ok(body), ok(ACCOUNT))
    assert async_bridge.run(client.account()).id == "acct_1Own"


def test_a_rejected_key_is_refused_by_the_account(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = lambda asked: refusal(401, message="Invalid API Key provided")
    with pytest.raises(KeyRejected):
        async_bridge.run(make_client().account())


def test_two_keys_of_one_account_share_its_limits_once_it_is_known(
    server: StripeServer, make_client: MakeClient
) -> None:
    server.answers = lambda asked: ok(ACCOUNT)
    one, other = make_client("sk_test_AAAAAAAAAAAAAAAA"), make_client("rk_test_BBBBBBBBBBBBBBBB")
    assert one.limiter is not other.limiter
    async_bridge.run(one.account())
    async_bridge.run(other.account())
    assert one.limiter is other.limiter


def test_a_fingerprint_tells_keys_apart_and_shows_nothing_of_them(make_client: MakeClient) -> None:
    one, other = make_client(), make_client(KEY[:-1] + "3")
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == make_client().fingerprint
    assert "4242" not in one.fingerprint


# What never leaves it.

SECRET = KEY.removeprefix("sk_test_")
SPILL = f"Invalid API Key: {KEY}; customer jane.doe+x@example.co.uk paid with 4242 4242 4242 4242 or 4000056655665556"


def everything_said(error: BaseException) -> Iterator[str]:
    """The error as each reader of it may print it, with all errors behind it."""
    yield from traceback.TracebackException.from_exception(error, capture_locals=True).format()
    chain: list[BaseException] = [error]
    while chain:
        one = chain.pop()
        yield repr(one)
        yield str(one)
        yield repr(vars(one)) if hasattr(one, "__dict__") else ""
        chain += [behind for behind in (one.__cause__, one.__context__) if behind is not None]


@pytest.mark.parametrize("name", REACTIONS)
def test_no_error_or_log_line_shows_the_key(server: StripeServer, make_client: MakeClient, name: str) -> None:
    server.answers = lambda asked: REACTIONS[name][0]
    client = make_client()
    with logged() as lines, pytest.raises(CounterfoilError) as caught:
        get(client)
    said = [*everything_said(caught.value), repr(lines), repr(client), str(client)]
    assert not [text for text in said if SECRET in text]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 500])
def test_what_stripe_quotes_is_redacted(server: StripeServer, make_client: MakeClient, status: int) -> None:
    server.answers = lambda asked: refusal(status, message=SPILL)
    with logged() as lines, pytest.raises(CounterfoilError) as caught:
        get(make_client())
    said = "".join(everything_said(caught.value)) + repr(lines)
    assert not [secret for secret in (SECRET, "jane", "example.co", "4242 4242", "4000056655665556") if secret in said]
    assert "Invalid API Key" in said


def test_a_broken_connection_shows_no_key_either(server: StripeServer, make_client: MakeClient) -> None:
    client = make_client()
    server.stop()
    with pytest.raises(StripeUnavailable) as caught:
        get(client)
    assert not [text for text in everything_said(caught.value) if SECRET in text]


def test_a_client_shows_only_the_kind_of_its_key_and_four_letters(
    server: StripeServer, make_client: MakeClient
) -> None:
    assert repr(make_client()) == f"Client(sk_test_…4242, 127.0.0.1:{server.port})"
    assert repr(make_client("rk_live_short")).startswith("Client(rk_live_…,")
    out = io.StringIO()
    print(make_client(), file=out)
    assert SECRET not in out.getvalue()
