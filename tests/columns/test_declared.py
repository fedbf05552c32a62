"""Declared columns: major units of money, invalid names, and the file generated from the spec."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from counterfoil.columns import declared as module
from counterfoil.columns.column import Column
from counterfoil.columns.declared import api_version, declared, united, with_money

REPOSITORY = Path(__file__).resolve().parents[2]
SPEC = REPOSITORY / "../shared/stripe/spec3.json"
needs_spec = pytest.mark.skipif(not SPEC.parent.is_dir(), reason="Stripe's spec is not available")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_columns", REPOSITORY / "tools" / "columns.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_money_column_is_followed_by_its_major_column() -> None:
    columns = declared("refund", money={"amount": "currency"})
    at = [column.name for column in columns].index("amount")
    amount, major = columns[at : at + 2]
    assert (amount.type, amount.currency, amount.derived) == ("integer", "currency", False)
    assert amount.description.startswith("refund.amount,")
    assert "minor units of currency" in amount.description
    assert (major.name, major.type, major.currency, major.derived) == ("amount_major", "major", "currency", True)
    assert major.description.startswith("refund.amount,")
    assert "major units of currency" in major.description


@pytest.mark.parametrize(
    "money", [{"amuont": "currency"}, {"amount": "curency"}, {"currency": "currency"}, {"amount": "amount"}]
)
def test_invalid_money_columns_fail(money: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="refund"):
        declared("refund", money=money)


def test_duplicate_column_name_fails() -> None:
    with pytest.raises(ValueError, match="status"):
        declared("refund", also=(Column(name="status", type="string", path=("other",)),))


def test_name_over_the_limit_of_postgres_fails() -> None:
    with pytest.raises(ValueError, match=f"too long .*{'n' * 64}"):
        with_money("thing", (Column(name="n" * 64, type="string", path=("n",)),), {})


def test_united_columns_contain_the_columns_of_both_kinds() -> None:
    both = united(declared("transfer"), declared("payout"))
    names = [column.name for column in both]
    assert len(names) == len(set(names))
    assert names[:3] == ["id", "created", "amount"]
    assert {"reversals", "arrival_date"} <= set(names)
    assert both[0].description == "transfer.id; payout.id"


def test_column_name_with_two_types_fails() -> None:
    with pytest.raises(ValueError, match="status"):
        united(
            (Column(name="status", type="string", path=("status",)),),
            (Column(name="status", type="integer", path=("status",)),),
        )


def test_columns_match_the_api_version_of_the_client() -> None:
    from counterfoil.stripe.client import API_VERSION

    assert api_version() == API_VERSION


@needs_spec
def test_generated_file_matches_the_spec() -> None:
    document = json.loads(SPEC.read_bytes())
    text = generator().generate(document)
    assert text == (Path(module.__file__).parent / "stripe_columns.json").read_text()
    assert generator().generate(document) == text


def spec_of(properties: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    thing = {"type": "object", "x-resourceId": "thing", "properties": properties}
    return {"info": {"version": "v"}, "components": {"schemas": {"thing": thing, **schemas}}}


def generated(properties: dict[str, Any], **schemas: Any) -> dict[str, list[str]]:
    tool = generator()
    tool.RESOURCES = {"thing": "thing"}
    rows = json.loads(tool.generate(spec_of(properties, **schemas)))["resources"]["thing"]
    return {name: rest for name, *rest in rows}


def shape(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TEXT = {"type": "string"}


def test_two_paths_with_one_name_fail_the_generation() -> None:
    with pytest.raises(ValueError, match="a_b"):
        generated({"a_b": TEXT, "a": shape(b=TEXT)})


def test_formats_and_references_decide_the_type() -> None:
    expansion = {"anyOf": [TEXT, {"$ref": "#/x/thing"}], "x-expansionResources": {"oneOf": [{"$ref": "#/x/thing"}]}}
    assert generated(
        {
            "at": {"type": "integer", "format": "unix-time"},
            "exact": {"type": "string", "format": "decimal"},
            "rate": {"type": "number"},
            "map": {"type": "object", "additionalProperties": TEXT},
            "list": {"type": "array", "items": TEXT},
            "other": expansion,
            "whole": {"anyOf": [{"$ref": "#/x/thing"}], "nullable": True},
            "nothing": {"type": "object", "properties": {}},
            "in": {"anyOf": [{"$ref": "#/x/inner"}]},
        },
        inner=shape(deep=shape(text=TEXT)),
    ) == {
        "at": ["timestamp", "at"],
        "exact": ["decimal", "exact"],
        "rate": ["double", "rate"],
        "map": ["json", "map"],
        "list": ["json", "list"],
        "other": ["id", "other"],
        "whole": ["json", "whole"],
        "nothing": ["json", "nothing"],
        "in_deep_text": ["string", "in.deep.text"],
    }


def test_object_with_many_variants_is_json_with_a_type_column() -> None:
    arms = {f"arm_{number}": shape(text=TEXT) for number in range(4)}
    assert generated({"choice": shape(type=TEXT, **arms)}) == {
        "choice": ["json", "choice"],
        "choice_type": ["string", "choice.type", "derived"],
    }
    del arms["arm_3"]
    assert "choice_arm_0_text" in generated({"choice": shape(type=TEXT, **arms)})


def test_object_with_too_long_column_names_is_json() -> None:
    assert generated({"a": shape(fine=TEXT, b=shape(**{"c" * 60: TEXT}))}) == {
        "a_fine": ["string", "a.fine"],
        "a_b": ["json", "a.b"],
    }
