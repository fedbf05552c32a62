"""Bodies as they come over the wire: packed, damaged, and too large."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from stripe_server import Says, StripeServer

from counterfoil.errors import SettingsError, StripeUnavailable
from counterfoil.http import async_bridge
from counterfoil.settings import Settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.retries import Backoff

MakeClient = Callable[..., Client]

JSON = {"Request-Id": "req_7", "Content-Type": "application/json"}


def ask(client: Client) -> Any:
    return async_bridge.run(client.get("/v1/charges"))


def packed(*members: bytes, encoding: str = "gzip") -> Says:
    return Says(200, b"".join(gzip.compress(one) for one in members), JSON | {"Content-Encoding": encoding})


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_body_may_be_packed_in_several_members(server: StripeServer, make_client: MakeClient, encoding: str) -> None:
    server.answers = lambda asked: packed(b'{"object": ', b"", b'"list"}', encoding=encoding)
    assert ask(make_client()).body == {"object": "list"}


def test_padding_behind_a_packed_body_is_ignored(server: StripeServer, make_client: MakeClient) -> None:
    body = gzip.compress(b'{"object": "list"}') + bytes(7)
    server.answers = lambda asked: Says(200, body, JSON | {"Content-Encoding": "gzip"})
    assert ask(make_client()).body == {"object": "list"}


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"object": "list"}') + b"more",
        gzip.compress(b'{"object": "list"}') + gzip.compress(b" ")[:-3],
        gzip.compress(b"") * 1000 + gzip.compress(b'{"object": "list"}'),
    ],
    ids=["something else behind it", "a second half", "too many members"],
)
def test_a_damaged_packed_body_is_transient(server: StripeServer, make_client: MakeClient, body: bytes) -> None:
    server.answers = lambda asked: Says(200, body, JSON | {"Content-Encoding": "gzip"})
    with pytest.raises(StripeUnavailable, match="broke off"):
        ask(make_client(backoff=Backoff(tries=1)))


BOMB = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB_BODY = b"".join([*(BOMB.compress(bytes(2**20)) for _ in range(8)), BOMB.flush()])


@pytest.mark.parametrize(
    "says",
    [
        Says(200, BOMB_BODY, JSON | {"Content-Encoding": "gzip"}),
        packed(b'{"object": "list",', b" " * 2**19, b" " * 2**19, b'"data": []}'),
        Says(200, b'{"object": "list"}' + b" " * 2**20, JSON),
        Says(500, b" " * (2**20 + 1), JSON),
        Says(200, b'{"object": "list"}' + b" " * 2**20, JSON | {"Transfer-Encoding": "chunked"}),
    ],
    ids=["a bomb", "a bomb in parts", "too much on the wire", "an error as large", "without a length"],
)
def test_a_body_over_the_limit_fails_at_once_and_names_limit_and_setting(
    server: StripeServer, make_client: MakeClient, says: Says
) -> None:
    server.answers = lambda asked: says
    small = Settings(rate_global=1e6, rate_endpoint=1e6, response_megabytes=1)
    client = make_client(settings=small)
    with pytest.raises(SettingsError, match="1 MB") as caught:
        ask(client)
    assert "COUNTERFOIL_RESPONSE_MEGABYTES" in (caught.value.hint or "")
    assert (len(server.asked), client.requests) == (1, {"GET /v1/charges": 1})


def test_a_bomb_is_not_unpacked_beyond_the_limit(server: StripeServer, make_client: MakeClient) -> None:
    server.answers = lambda asked: Says(200, BOMB_BODY, JSON | {"Content-Encoding": "gzip"})
    client = make_client(settings=Settings(rate_global=1e6, rate_endpoint=1e6, response_megabytes=1))
    tracemalloc.start()
    try:
        with pytest.raises(SettingsError):
            ask(client)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
