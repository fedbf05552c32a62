"""Parsing of bodies: all digits of integers, and values that are not valid text or finite numbers."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe_server import KEY

from counterfoil.errors import StripeUnavailable
from counterfoil.http.transport import Failure, Reply
from counterfoil.stripe.address import STRIPE, address_of
from counterfoil.stripe.json_body import IllegibleIdentifierError, TooDeepError, parsed
from counterfoil.stripe.key import Key
from counterfoil.stripe.responses import Answer, Question, read
from counterfoil.values import escaped

PADDING = b'"pad": "' + b"x" * 20_000 + b'", '


@pytest.mark.parametrize("padding", [b"", PADDING], ids=["small", "large"])
@pytest.mark.parametrize(
    "number", [2**63 - 1, 2**64 - 1, 2**64, -(2**63) - 1, 10**40, -(10**18), 1_790_000_000, 12_345_678_901_234_567]
)
def test_integers_keep_every_digit(number: int, padding: bytes) -> None:
    for shift in range(4):
        body = b"{" + padding + b" " * shift + b'"n": %d, "list": [%d,%d]}' % (number, number, number)
        found = parsed(body)
        assert (found["n"], found["list"], type(found["n"])) == (number, [number, number], int)


def test_long_digits_in_identifiers_do_not_change_the_parsing() -> None:
    body = b"{" + PADDING + b'"id": "ch_' + b"1" * 30 + b'", "x": 1.5}'
    assert parsed(body) == orjson.loads(body)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (rb'"a\ud800b"', escaped(r"a\ud800b")),
        (rb'"\\\udc80"', escaped(r"\\\udc80")),
        (b'"caf\xe9"', escaped(r"caf\udce9")),
        (b"NaN", escaped("NaN")),
        (b"-Infinity", escaped("-Infinity")),
        (b"1e400", escaped("1e400")),
        (b"9" * 5000, escaped("9" * 5000)),
        (rb'["\ud83d\ude00", "\ud800"]', ["😀", escaped(r"\ud800")]),
        (rb'{"\ud800": {"id": 1, "x": NaN}}', {r"\ud800": {"id": 1, "x": escaped("NaN")}}),
    ],
)
def test_value_that_is_not_valid_text_or_number_is_escaped_in_place(written: bytes, value: Any) -> None:
    assert parsed(b'{"id": "ch_1", "it": ' + written + b', "amount": 100}') == {
        "id": "ch_1",
        "it": value,
        "amount": 100,
    }


@pytest.mark.parametrize("identifier", [rb'"ch_\ud800"', b'"ch_\xff"'])
def test_identifier_that_is_not_valid_text_is_an_error(identifier: bytes) -> None:
    with pytest.raises(IllegibleIdentifierError):
        parsed(b'{"data": [{"id": ' + identifier + b"}]}")


@pytest.mark.parametrize("body", [b"", b'{"id": "ch_1"', b'{"n": 184467440737095516160', b'{"a": "\xff', b"<html>"])
def test_incomplete_body_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(body)


def test_deeply_nested_body_is_parsed_or_rejected() -> None:
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    assert parsed(deep)["a"]["a"]
    with pytest.raises(TooDeepError):
        parsed(b"[" * 100_000 + b"]" * 100_000)


def answered(body: bytes) -> Answer | Failure:
    headers = {"Date": "Tue, 01 Dec 2026 00:00:00 GMT", "Request-Id": "req_1", "Content-Type": "application/json"}
    return read(Question(address_of(STRIPE), Key(KEY), "/v1/charges"), Reply(200, headers, body, len(body)))


def test_response_with_an_escaped_value_is_accepted() -> None:
    found = answered(rb'{"object": "list", "data": [{"id": "ch_1", "description": "\ud800"}]}')
    assert isinstance(found, Answer)
    assert found.body["data"] == [{"id": "ch_1", "description": escaped(r"\ud800")}]


@pytest.mark.parametrize(
    "body",
    [b'{"object": "list", "data": [', b'{"object": "charge", "id": "ch_\xff"}', b'{"a":' * 5000 + b"1" + b"}" * 5000],
    ids=["incomplete", "illegible identifier", "deep"],
)
def test_unreadable_response_is_requested_again(body: bytes) -> None:
    found = answered(body)
    assert isinstance(found, Failure)
    assert (type(found.error), found.error.code) == (StripeUnavailable, "invalid_body")
    assert found.retry


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**70)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(value=st.dictionaries(st.text(max_size=5), _VALUES, max_size=5), large=st.booleans())
def test_any_json_is_parsed_exactly(value: dict[str, Any], large: bool) -> None:
    value = value | ({"pad": "x" * 20_000} if large else {})
    assert parsed(json.dumps(value, ensure_ascii=False).encode()) == value
