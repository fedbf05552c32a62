"""Declared columns: money has its twin, wrong names fail, and the generated file is the spec's."""

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
needs_spec = pytest.mark.skipif(not SPEC.parent.is_dir(), reason="Stripe's spec is not beside this repository")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_columns", REPOSITORY / "tools" / "columns.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_a_money_column_is_followed_by_its_major() -> None:
    columns = declared("refund", money={"amount": "currency"})
    at = [column.name for column in columns].index("amount")
    amount, twin = columns[at : at + 2]
    assert (amount.type, amount.currency, amount.derived) == ("integer", "currency", False)
    assert amount.description == "refund.amount, in minor units of currency"
    assert (twin.name, twin.type, twin.currency, twin.derived) == ("amount_major", "major", "currency", True)
    assert twin.description == "refund.amount, in major units of currency, exact"


@pytest.mark.parametrize(
    "money", [{"amuont": "currency"}, {"amount": "curency"}, {"currency": "currency"}, {"amount": "amount"}]
)
def test_money_that_is_not_there_fails(money: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="refund"):
        declared("refund", money=money)


def test_a_column_named_twice_fails() -> None:
    with pytest.raises(ValueError, match="status"):
        declared("refund", also=(Column(name="status", type="string", path=("other",)),))


def test_a_name_that_postgres_would_cut_fails() -> None:
    with pytest.raises(ValueError, match="too long"):
        with_money("thing", (Column(name="n" * 64, type="string", path=("n",)),), {})


def test_the_columns_of_two_kinds_stand_side_by_side() -> None:
    both = united(declared("transfer"), declared("payout"))
    names = [column.name for column in both]
    assert len(names) == len(set(names))
    assert names[:3] == ["id", "created", "amount"]
    assert {"reversals", "arrival_date"} <= set(names)
    assert both[0].description == "transfer.id; payout.id"


def test_one_name_for_two_types_fails() -> None:
    with pytest.raises(ValueError, match="status"):
        united(
            (Column(name="status", type="string", path=("status",)),),
            (Column(name="status", type="integer", path=("status",)),),
        )


def test_the_columns_are_those_of_the_version_that_the_client_pins() -> None:
    from counterfoil.stripe.client import API_VERSION

    assert api_version() == API_VERSION


@needs_spec
def test_the_generated_file_is_what_the_spec_gives() -> None:
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


def test_a_choice_of_many_arms_is_json_with_its_tag_beside_it() -> None:
    arms = {f"arm_{number}": shape(text=TEXT) for number in range(4)}
    assert generated({"choice": shape(type=TEXT, **arms)}) == {
        "choice": ["json", "choice"],
        "choice_type": ["string", "choice.type", "derived"],
    }
    del arms["arm_3"]
    assert "choice_arm_0_text" in generated({"choice": shape(type=TEXT, **arms)})


def test_an_object_whose_names_grow_too_long_is_json() -> None:
    assert generated({"a": shape(fine=TEXT, b=shape(**{"c" * 60: TEXT}))}) == {
        "a_fine": ["string", "a.fine"],
        "a_b": ["json", "a.b"],
    }
