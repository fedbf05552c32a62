"""The columns of a dataset, and the choices that are rejected before reading."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from counterfoil.columns.chosen import Chosen, choose
from counterfoil.columns.column import Column
from counterfoil.columns.declared import NAME_BYTES
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.promoted import METADATA, promoted_columns
from counterfoil.errors import SettingsError
from counterfoil.reports.catalogue import REPORTS, report

CHARGES = report("charges")


def names(chosen: Chosen) -> list[str]:
    return [column.name for column in chosen.columns]


def removed(chosen: Chosen) -> set[str]:
    return {column.name for column in CHARGES.columns} - set(names(chosen))


def column(chosen: Chosen, name: str) -> Column:
    return next(column for column in chosen.columns if column.name == name)


def promoted(*keys: str) -> list[str]:
    return [column.name for column in promoted_columns("Charges", CHARGES.columns, keys)]


@pytest.mark.parametrize("each", REPORTS, ids=lambda each: each.key)
def test_empty_choice_leaves_the_columns_unchanged(each: object) -> None:
    chosen = choose(each)  # type: ignore[arg-type]
    assert chosen.columns == each.columns  # type: ignore[attr-defined]
    assert not chosen.redacts


def test_promoted_keys_follow_metadata_in_order() -> None:
    found = names(choose(CHARGES, promoted=["order_id", "Cost Centre"]))
    at = found.index("metadata")
    assert found[at : at + 3] == ["metadata", "metadata_order_id", "metadata_cost_centre"]


def test_promoted_keys_are_text_and_null_if_missing() -> None:
    columns = choose(CHARGES, promoted=["order_id"]).columns
    objects = [{"id": "a", "metadata": {"order_id": "6735", "x": "y"}}, {"id": "b", "metadata": {}}, {"id": "c"}]
    batch = Flattener(columns).batch(objects)
    assert batch["metadata_order_id"].to_pylist() == ["6735", None, None]
    assert batch["metadata"].to_pylist() == ['{"order_id":"6735","x":"y"}', "{}", None]
    assert batch["_extra"].null_count == 3


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("order_id", "metadata_order_id"),
        ("Order ID", "metadata_order_id"),
        ("a.b-c", "metadata_a_b_c"),
        ('x" y;--', "metadata_x_y"),
        ("5", "metadata_5"),
        ("größe", "metadata_größe"),
        ("注文", "metadata_注文"),
        ("🧾", "metadata_key"),
        ("é" * 40, "metadata_" + "é" * 27),
    ],
)
def test_promoted_key_has_a_valid_column_name(key: str, name: str) -> None:
    assert promoted(key) == [name]
    assert len(name.encode()) <= NAME_BYTES


def test_keys_with_equal_names_are_numbered_and_equal_keys_are_one_column() -> None:
    assert promoted("Order ID", "order_id", "order-id", "Order ID") == [
        "metadata_order_id",
        "metadata_order_id_2",
        "metadata_order_id_3",
    ]
    long = promoted("ü" * 40, "ü" * 39, "ü" * 38)
    assert len(set(long)) == 3
    assert all(len(name.encode()) <= NAME_BYTES for name in long)


@pytest.mark.parametrize("key", ["", "x" * 41, "a[b]"])
def test_invalid_metadata_key_is_rejected(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        choose(CHARGES, promoted=[key])
    assert caught.value.code == "invalid_metadata_key"
    assert repr(key) in caught.value.message


def test_promoted_key_of_a_report_without_metadata_is_rejected() -> None:
    with pytest.raises(SettingsError, match="Balance History") as caught:
        choose(report("balance_transactions"), promoted=["order_id"])
    assert caught.value.code == "no_metadata"


def test_promoted_key_with_the_name_of_a_column_is_rejected() -> None:
    taken = replace(CHARGES, columns=(*CHARGES.columns, Column(name="metadata_x", type="string", path=("m",))))
    with pytest.raises(SettingsError, match="metadata_x") as caught:
        choose(taken, promoted=["x"])
    assert caught.value.code == "column_exists"


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("receipt_email", {"receipt_email"}),
        ("amount", {"amount", "amount_major"}),
        ("refunds", {"refunds"}),
        (
            "payment_method_details",
            {column.name for column in CHARGES.columns if column.name.startswith("payment_method_details")},
        ),
        ("payment_method_details_card_last4", {"payment_method_details_card_last4"}),
    ],
)
def test_leaving_out_a_column_removes_its_derived_columns(name: str, gone: set[str]) -> None:
    assert removed(choose(CHARGES, left_out=[name])) == gone


def test_hashed_column_is_text_and_loses_its_major_column() -> None:
    chosen = choose(CHARGES, hashed=["amount", "customer", "captured"])
    assert removed(chosen) == {"amount_major"}
    for name in ("amount", "customer", "captured"):
        assert (column(chosen, name).type, column(chosen, name).currency) == ("string", None)
        assert column(chosen, name).description.endswith("; hashed")
    assert [name for name in names(chosen) if name != "amount_major"] == names(chosen)


def test_hashing_a_json_column_removes_its_extracted_columns() -> None:
    chosen = choose(CHARGES, hashed=["payment_method_details"])
    assert [name for name in names(chosen) if name.startswith("payment_method")] == [
        "payment_method",
        "payment_method_details",
    ]


def test_leaving_out_metadata_keeps_its_promoted_keys() -> None:
    chosen = choose(CHARGES, promoted=["order_id", "tax"], left_out=["metadata", "metadata_tax"])
    assert [column.name for column in chosen.columns if column.path[:1] == METADATA] == ["metadata_order_id"]
    assert not column(chosen, "metadata_order_id").derived
    Flattener(chosen.columns)


def test_chosen_columns_are_valid_report_columns() -> None:
    chosen = choose(CHARGES, promoted=["a"], left_out=["amount", "metadata"], hashed=["metadata_a"])
    once_more = replace(CHARGES, columns=chosen.columns)
    assert choose(once_more).columns == chosen.columns


@pytest.mark.parametrize("name", ["_kind", "kind"])
def test_earlier_name_selects_the_renamed_column(name: str) -> None:
    transfers = report("transfers")
    columns = {column.name for column in transfers.columns}
    reduced = choose(transfers, left_out=[name])
    assert columns - set(names(reduced)) == {"_kind", "kind"}
    hashed = choose(transfers, hashed=[name])
    assert columns - set(names(hashed)) == {"kind"}
    assert [each.name for each in hashed.hashed] == ["_kind"]
    Flattener(reduced.columns)
    Flattener(hashed.columns)


@pytest.mark.parametrize("choice", ["left_out", "hashed"])
@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("charges", "id"),
        ("charges", "created"),
        ("invoiceitems", "date"),
        ("discounts", "start"),
        ("upcoming_invoices", "preview_of"),
        ("balance", "_bucket"),
        ("balance", "currency"),
    ],
)
def test_key_time_and_order_columns_cannot_be_changed(key: str, name: str, choice: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} ") as caught:
        choose(report(key), **{choice: [name]})
    assert caught.value.code == "required_column"
    assert report(key).title in (caught.value.hint or "")


@dataclass(frozen=True)
class Odd:
    """A report with a key that is extracted from a JSON column."""

    title: str = "Odd"
    columns: tuple[Column, ...] = (
        Column(name="data", type="json", path=("data",)),
        Column(name="data_id", type="string", path=("data", "id"), derived=True),
    )
    primary_key: tuple[str, ...] = ("data_id",)
    created: str | None = None
    order: tuple[str, ...] = ("-data_id",)


@pytest.mark.parametrize("choice", ["left_out", "hashed"])
def test_json_column_with_the_key_cannot_be_changed(choice: str) -> None:
    with pytest.raises(SettingsError, match=r"^data_id ") as caught:
        choose(Odd(), **{choice: ["data"]})
    assert caught.value.code == "required_column"


@pytest.mark.parametrize("choice", ["left_out", "hashed"])
@pytest.mark.parametrize("name", ["_extra", "_account", "_deleted"])
def test_system_columns_cannot_be_changed(name: str, choice: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} ") as caught:
        choose(CHARGES, **{choice: [name]})
    assert caught.value.code == "system_column"


def test_no_report_declares_the_deleted_field() -> None:
    assert not [column for each in REPORTS for column in each.columns if column.path[:1] == ("deleted",)]


@pytest.mark.parametrize("choice", ["left_out", "hashed"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("email", " billing_details_email or receipt_email?"),
        ("recipt_email", "mean receipt_email"),
        ("Amount", "mean amount"),
        ("zzzzzzzz", "counterfoil reports --json"),
        ("", "counterfoil reports --json"),
        ("metadata_order_id", "metadata"),
    ],
)
def test_unknown_column_is_rejected_with_suggestions(name: str, hint: str, choice: str) -> None:
    with pytest.raises(SettingsError, match=f"^Charges .*'{name}'") as caught:
        choose(CHARGES, **{choice: [name]})
    assert caught.value.code == "column_not_found"
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("choices", "code", "names"),
    [
        ({"left_out": ["customer"], "hashed": ["customer"]}, "conflicting_columns", "^customer "),
        ({"left_out": ["amount_major"]}, "derived_column", "^amount_major .* amount$"),
        ({"hashed": ["amount_major"]}, "derived_column", "^amount_major .* amount$"),
        ({"left_out": ["currency"]}, "required_column", "^currency .* amount, amount_captured, "),
        ({"hashed": ["currency"]}, "required_column", "^currency "),
        (
            {"left_out": ["payment_method_details"], "hashed": ["payment_method_details_card_last4"]},
            "conflicting_columns",
            "^payment_method_details_card_last4 .* payment_method_details,",
        ),
        (
            {"hashed": ["payment_method_details_card_last4", "payment_method_details"]},
            "conflicting_columns",
            "^payment_method_details_card_last4 .* payment_method_details,",
        ),
        ({"hashed": ["metadata"], "promoted": ["a"]}, "conflicting_columns", "^metadata "),
    ],
)
def test_conflicting_choices_are_rejected(choices: dict[str, list[str]], code: str, names: str) -> None:
    with pytest.raises(SettingsError, match=names) as caught:
        choose(CHARGES, **choices)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.hint


def test_currency_can_be_left_out_with_all_its_amounts() -> None:
    presentment = [f"presentment_details_presentment_{what}" for what in ("amount", "currency")]
    chosen = choose(CHARGES, left_out=presentment)
    assert removed(chosen) == {*presentment, "presentment_details_presentment_amount_major"}
