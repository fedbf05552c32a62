"""Values as cells of a table: exact, shortened, and distinguished by kind."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from counterfoil.web.cells import SHOWN, Money, cell, whole


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "null", "null"),
        ("", "null", '""'),
        ("null", "text", "null"),
        (True, "flag", "true"),
        (1234567, "number", "1,234,567"),
        (-5, "number", "−5"),
        (Decimal("4320.000"), "number", "4,320.00"),
        (Decimal("21750.000000000000"), "number", "21,750.00"),
        (Decimal("0.045"), "number", "0.045"),
        (Decimal("-1E+3"), "number", "−1,000"),
        (date(2027, 1, 4), "instant", "2027-01-04"),
        ([1, {"a": None}], "json", '[1, {"a": null}]'),
        (b"\x00\xff", "text", "00ff"),
    ],
)
def test_value_has_kind_and_text(value: Any, kind: str, text: str) -> None:
    shown = cell(value)
    assert (shown.kind, str(shown.text)) == (kind, text)


def test_minor_units_have_the_amount_as_title() -> None:
    minor, major = Money(currency="currency", major=False), Money(currency="currency", major=True)
    assert (cell(1999, money=minor, currency="usd").text, cell(1999, money=minor, currency="usd").title) == (
        "1,999",
        "19.99 USD",
    )
    assert cell(Decimal("1050.000"), money=major, currency="jpy").text == "1,050 JPY"
    assert cell(Decimal("1.500"), money=major, currency="kwd").text == "1.500 KWD"
    assert cell(Decimal("1.500"), money=major, currency=None).text == "1.500"


def test_instant_shows_its_zone() -> None:
    assert "2027-01-04 12:00:01 UTC" in str(cell(datetime(2027, 1, 4, 12, 0, 1, tzinfo=UTC)).text)


def test_long_text_is_shortened() -> None:
    text = '{"a": "' + "x" * 500 + '"}'
    shown = cell(text, is_json=True)
    assert shown.more
    assert len(str(shown.text)) == SHOWN + 1
    assert "x" * 500 in whole(text)
    assert whole(text).startswith("{\n")
    assert cell("two\nlines").more


def test_invalid_json_is_unchanged() -> None:
    assert whole("{not json") == "{not json"
