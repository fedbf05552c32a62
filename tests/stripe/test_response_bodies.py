"""Response bodies that are compressed, damaged or too large."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from stripe_server import Response, StripeServer

from counterfoil.errors import SettingsError, StripeUnavailable
from counterfoil.http import async_bridge
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.retries import Backoff

MakeClient = Callable[..., Client]

JSON = {"Request-Id": "req_7", "Content-Type": "application/json"}


def ask(client: Client) -> Any:
    return async_bridge.run(client.get("/v1/charges"))


def gzipped(*members: bytes, encoding: str = "gzip") -> Response:
    return Response(200, b"".join(gzip.compress(one) for one in members), JSON | {"Content-Encoding": encoding})


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_body_with_several_members_is_decompressed(
    server: StripeServer, make_client: MakeClient, encoding: str
) -> None:
    server.respond = lambda request: gzipped(b'{"object": ', b"", b'"list"}', encoding=encoding)
    assert ask(make_client()).body == {"object": "list"}


def test_padding_after_a_gzip_body_is_ignored(server: StripeServer, make_client: MakeClient) -> None:
    body = gzip.compress(b'{"object": "list"}') + bytes(7)
    server.respond = lambda request: Response(200, body, JSON | {"Content-Encoding": "gzip"})
    assert ask(make_client()).body == {"object": "list"}


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"object": "list"}') + b"more",
        gzip.compress(b'{"object": "list"}') + gzip.compress(b" ")[:-3],
        gzip.compress(b"") * 1000 + gzip.compress(b'{"object": "list"}'),
    ],
    ids=["trailing data", "incomplete second member", "too many members"],
)
def test_damaged_gzip_body_is_a_transient_error(server: StripeServer, make_client: MakeClient, body: bytes) -> None:
    server.respond = lambda request: Response(200, body, JSON | {"Content-Encoding": "gzip"})
    with pytest.raises(StripeUnavailable) as caught:
        ask(make_client(backoff=Backoff(tries=1)))
    assert caught.value.code == "response_interrupted"


BOMB = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB_BODY = b"".join([*(BOMB.compress(bytes(2**20)) for _ in range(8)), BOMB.flush()])


@pytest.mark.parametrize(
    "response",
    [
        Response(200, BOMB_BODY, JSON | {"Content-Encoding": "gzip"}),
        gzipped(b'{"object": "list",', b" " * 2**19, b" " * 2**19, b'"data": []}'),
        Response(200, b'{"object": "list"}' + b" " * 2**20, JSON),
        Response(500, b" " * (2**20 + 1), JSON),
        Response(200, b'{"object": "list"}' + b" " * 2**20, JSON | {"Transfer-Encoding": "chunked"}),
    ],
    ids=["bomb", "bomb in members", "large body", "large error", "large body without a length"],
)
def test_body_over_the_limit_fails_at_once_and_names_limit_and_setting(
    server: StripeServer, make_client: MakeClient, response: Response
) -> None:
    server.respond = lambda request: response
    small = Settings(rate_global=1e6, rate_endpoint=1e6, response_megabytes=1)
    client = make_client(settings=small)
    with pytest.raises(SettingsError, match=r"\b1 MB") as caught:
        ask(client)
    assert caught.value.code == "response_too_large"
    assert "COUNTERFOIL_RESPONSE_MEGABYTES" in (caught.value.hint or "")
    assert (len(server.received), client.requests) == (1, {"GET /v1/charges": 1})


def test_gzip_bomb_is_not_decompressed_beyond_the_limit(server: StripeServer, make_client: MakeClient) -> None:
    server.respond = lambda request: Response(200, BOMB_BODY, JSON | {"Content-Encoding": "gzip"})
    client = make_client(settings=Settings(rate_global=1e6, rate_endpoint=1e6, response_megabytes=1))
    tracemalloc.start()
    try:
        with pytest.raises(SettingsError):
            ask(client)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
