"""Amounts in major units, by exact examples: a round trip would not detect a wrong table of currencies."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from counterfoil.columns.flatten import Flattener
from counterfoil.columns.money import DIGITS, is_currency, major, unknown_currencies
from counterfoil.errors import SettingsError
from counterfoil.reports.catalogue import report
from counterfoil.settings import load_settings, parse_digits


def in_major(amount: int | None, currency: str | None, **digits: int) -> Decimal | None:
    result = major(pa.array([amount], pa.int64()), pa.array([currency], pa.string()), digits)
    assert result.type == pa.decimal128(22, 3)
    value: Decimal | None = result[0].as_py()
    return value


@pytest.mark.parametrize(
    ("currency", "expected"),
    [
        ("usd", "10.500"),
        ("eur", "10.500"),
        ("jpy", "1050.000"),
        ("kwd", "1.050"),
        ("bhd", "1.050"),
        ("isk", "10.500"),
        ("ugx", "10.500"),
        ("huf", "10.500"),
        ("twd", "10.500"),
        ("mga", "1050.000"),
        ("krw", "1050.000"),
        ("USD", "10.500"),
    ],
)
def test_1050_minor_units_convert_by_currency(currency: str, expected: str) -> None:
    assert str(in_major(1050, currency)) == expected


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63), 2**53 + 1, 1, 0, -1, 9_223_372_036_854_775])
@pytest.mark.parametrize(("currency", "divisor"), [("usd", 100), ("jpy", 1), ("kwd", 1000)])
def test_no_amount_of_64_bits_is_rounded(amount: int, currency: str, divisor: int) -> None:
    value = in_major(amount, currency)
    assert value is not None
    assert int(value.scaleb(3)) * divisor == amount * 1000


def test_major_amount_is_null_without_amount_or_currency() -> None:
    assert in_major(None, "usd") is None
    assert in_major(1050, None) is None


def test_each_row_is_converted_by_its_own_currency() -> None:
    amounts = pa.array([1050, None, 1050, 1050, 7], pa.int64())
    currencies = pa.array(["usd", "usd", "jpy", None, "kwd"])
    assert [str(value) for value in major(amounts, currencies)] == ["10.500", "None", "1050.000", "None", "0.007"]


def test_a_slice_of_a_column_keeps_its_rows() -> None:
    amounts = pa.array([1, 2, 3, None], pa.int64())[1:]
    assert [str(value) for value in major(amounts, pa.array(["usd"] * 3))] == ["0.020", "0.030", "None"]


def test_empty_column_stays_empty() -> None:
    assert major(pa.array([], pa.int64()), pa.array([], pa.string())).to_pylist() == []


def test_digits_in_settings_override_the_lists_of_stripe() -> None:
    assert str(in_major(1050, "isk", isk=0)) == "1050.000"
    assert str(in_major(1050, "usdc", usdc=3)) == "1.050"


def test_unknown_currency_is_null_and_reported_with_its_remedy() -> None:
    flattener = Flattener(report("refunds").columns)
    batch = flattener.batch([{"amount": 5, "currency": "xyz"}, {"amount": 5, "currency": "usd"}])
    assert batch["amount"].to_pylist() == [5, 5]
    assert [str(value) for value in batch["amount_major"].to_pylist()] == ["None", "0.050"]
    (drift,) = flattener.drift.values()
    assert (drift.kind, drift.example, drift.count) == ("unknown currency", "xyz", 1)
    assert "'xyz'" in drift.message
    assert "amount" in drift.message
    assert "COUNTERFOIL_CURRENCY_DIGITS=xyz=2" in drift.message


def test_currency_in_settings_is_known() -> None:
    flattener = Flattener(report("refunds").columns, digits={"xyz": 2})
    assert str(flattener.batch([{"amount": 5, "currency": "xyz"}])["amount_major"][0]) == "0.050"
    assert not flattener.drift


def test_unknown_currencies_are_counted_by_row() -> None:
    assert unknown_currencies(pa.array(["xyz", "usd", None, "xyz"])) == {"xyz": 2}


def test_currency_lists_are_disjoint_and_omit_undefined_currencies() -> None:
    assert len(DIGITS) == 16 - 1 + 5 + sum(digits == 2 for digits in DIGITS.values())
    assert not {"clf", "iqd", "lyd", "uyi", "uyw"} & set(DIGITS)
    assert all(len(code) == 3 and code.islower() for code in DIGITS)
    assert is_currency("usd")
    assert not is_currency("xyz")


def test_digits_are_parsed_from_text() -> None:
    assert parse_digits("isk=0, USDC=3,") == {"isk": 0, "usdc": 3}
    assert parse_digits("") == {}


@pytest.mark.parametrize("text", ["isk", "isk=", "isk=4", "isk=-1", "isk=0,isk=0", "=2", "isk:0", "is=0"])
def test_invalid_digits_are_rejected_with_the_name_of_the_setting(text: str) -> None:
    with pytest.raises(SettingsError, match="COUNTERFOIL_CURRENCY_DIGITS") as caught:
        parse_digits(text)
    assert "isk=0,usdc=2" in (caught.value.hint or "")


def test_the_environment_sets_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_CURRENCY_DIGITS", "isk=0")
    assert load_settings().currency_digits == {"isk": 0}
    monkeypatch.setenv("COUNTERFOIL_CURRENCY_DIGITS", "isk=9")
    with pytest.raises(SettingsError, match="isk=9"):
        load_settings()
