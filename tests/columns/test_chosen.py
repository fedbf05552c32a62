"""Which columns a dataset has of its report, and what is refused before anything is read."""

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


def lost(chosen: Chosen) -> set[str]:
    return {column.name for column in CHARGES.columns} - set(names(chosen))


def column(chosen: Chosen, name: str) -> Column:
    return next(column for column in chosen.columns if column.name == name)


def promoted(*keys: str) -> list[str]:
    return [column.name for column in promoted_columns("Charges", CHARGES.columns, keys)]


@pytest.mark.parametrize("each", REPORTS, ids=lambda each: each.key)
def test_nothing_chosen_is_the_report_as_it_is(each: object) -> None:
    chosen = choose(each)  # type: ignore[arg-type]
    assert chosen.columns == each.columns  # type: ignore[attr-defined]
    assert not chosen.redacts


def test_promoted_keys_follow_metadata_in_their_order() -> None:
    found = names(choose(CHARGES, promoted=["order_id", "Cost Centre"]))
    at = found.index("metadata")
    assert found[at : at + 3] == ["metadata", "metadata_order_id", "metadata_cost_centre"]


def test_promoted_keys_are_text_and_null_where_they_are_missing() -> None:
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
def test_a_promoted_keys_name_is_a_valid_one(key: str, name: str) -> None:
    assert promoted(key) == [name]
    assert len(name.encode()) <= NAME_BYTES


def test_keys_of_one_name_are_numbered_and_the_same_key_is_one_column() -> None:
    assert promoted("Order ID", "order_id", "order-id", "Order ID") == [
        "metadata_order_id",
        "metadata_order_id_2",
        "metadata_order_id_3",
    ]
    long = promoted("ü" * 40, "ü" * 39, "ü" * 38)
    assert len(set(long)) == 3
    assert all(len(name.encode()) <= NAME_BYTES for name in long)


@pytest.mark.parametrize("key", ["", "x" * 41, "a[b]"])
def test_a_key_that_stripe_cannot_have_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="can't be a key of metadata"):
        choose(CHARGES, promoted=[key])


def test_a_report_without_metadata_has_no_keys_to_promote() -> None:
    with pytest.raises(SettingsError, match="Balance History have no metadata"):
        choose(report("balance_transactions"), promoted=["order_id"])


def test_a_promoted_key_does_not_take_the_name_of_a_column() -> None:
    taken = replace(CHARGES, columns=(*CHARGES.columns, Column(name="metadata_x", type="string", path=("m",))))
    with pytest.raises(SettingsError, match="has a column metadata_x already"):
        choose(taken, promoted=["x"])


@pytest.mark.parametrize(
    ("named", "gone"),
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
def test_a_column_that_is_left_out_takes_along_what_repeats_it(named: str, gone: set[str]) -> None:
    assert lost(choose(CHARGES, left_out=[named])) == gone


def test_a_hashed_column_is_text_in_its_place_and_loses_its_major() -> None:
    chosen = choose(CHARGES, hashed=["amount", "customer", "captured"])
    assert lost(chosen) == {"amount_major"}
    for name in ("amount", "customer", "captured"):
        assert (column(chosen, name).type, column(chosen, name).currency) == ("string", None)
        assert column(chosen, name).description.endswith("; hashed")
    assert [name for name in names(chosen) if name != "amount_major"] == names(chosen)


def test_a_hashed_json_column_loses_the_columns_that_are_cut_from_it() -> None:
    chosen = choose(CHARGES, hashed=["payment_method_details"])
    assert [name for name in names(chosen) if name.startswith("payment_method")] == [
        "payment_method",
        "payment_method_details",
    ]


def test_metadata_that_is_left_out_leaves_its_promoted_keys() -> None:
    chosen = choose(CHARGES, promoted=["order_id", "tax"], left_out=["metadata", "metadata_tax"])
    assert [column.name for column in chosen.columns if column.path[:1] == METADATA] == ["metadata_order_id"]
    assert not column(chosen, "metadata_order_id").derived
    Flattener(chosen.columns)


def test_what_is_chosen_is_a_report_like_any_other() -> None:
    chosen = choose(CHARGES, promoted=["a"], left_out=["amount", "metadata"], hashed=["metadata_a"])
    once_more = replace(CHARGES, columns=chosen.columns)
    assert choose(once_more).columns == chosen.columns


@pytest.mark.parametrize("name", ["_kind", "kind"])
def test_earlier_name_of_a_column_chooses_the_column(name: str) -> None:
    transfers = report("transfers")
    columns = {column.name for column in transfers.columns}
    left = choose(transfers, left_out=[name])
    assert columns - set(names(left)) == {"_kind", "kind"}
    hashed = choose(transfers, hashed=[name])
    assert columns - set(names(hashed)) == {"kind"}
    assert [each.name for each in hashed.hashed] == ["_kind"]
    Flattener(left.columns)
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
def test_columns_that_tell_rows_apart_date_or_order_them_stay(key: str, name: str, choice: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} can be neither left out nor hashed") as refused:
        choose(report(key), **{choice: [name]})
    assert "Choose other columns" in (refused.value.hint or "")


@dataclass(frozen=True)
class Odd:
    """A report whose key is cut from a JSON column."""

    title: str = "Odd"
    columns: tuple[Column, ...] = (
        Column(name="data", type="json", path=("data",)),
        Column(name="data_id", type="string", path=("data", "id"), derived=True),
    )
    primary_key: tuple[str, ...] = ("data_id",)
    created: str | None = None
    order: tuple[str, ...] = ("-data_id",)


@pytest.mark.parametrize("choice", ["left_out", "hashed"])
def test_what_holds_the_key_stays_as_well(choice: str) -> None:
    with pytest.raises(SettingsError, match=r"^data_id can be neither"):
        choose(Odd(), **{choice: ["data"]})


@pytest.mark.parametrize("choice", ["left_out", "hashed"])
@pytest.mark.parametrize("name", ["_extra", "_account", "_deleted"])
def test_system_columns_stay(name: str, choice: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is a column that every table has"):
        choose(CHARGES, **{choice: [name]})


def test_no_report_declares_what_the_system_reads() -> None:
    assert not [column for each in REPORTS for column in each.columns if column.path[:1] == ("deleted",)]


@pytest.mark.parametrize("choice", ["left_out", "hashed"])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("email", "Did you mean billing_details_email or receipt_email?"),
        ("recipt_email", "Did you mean receipt_email"),
        ("Amount", "Did you mean amount"),
        ("zzzzzzzz", "`counterfoil reports --json` lists its columns."),
        ("", "`counterfoil reports --json` lists its columns."),
        ("metadata_order_id", "metadata"),
    ],
)
def test_an_unknown_column_is_refused_with_the_nearest(name: str, hint: str, choice: str) -> None:
    with pytest.raises(SettingsError, match="Charges has no column") as refused:
        choose(CHARGES, **{choice: [name]})
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"left_out": ["customer"], "hashed": ["customer"]}, "customer can't be both left out and hashed"),
        ({"left_out": ["amount_major"]}, "amount_major repeats amount"),
        ({"hashed": ["amount_major"]}, "amount_major repeats amount"),
        ({"left_out": ["currency"]}, "currency can be neither .* currency of amount, amount_captured, "),
        ({"hashed": ["currency"]}, "currency can be neither"),
        (
            {"left_out": ["payment_method_details"], "hashed": ["payment_method_details_card_last4"]},
            "payment_method_details_card_last4 can't be hashed: it is cut from payment_method_details",
        ),
        ({"hashed": ["payment_method_details_card_last4", "payment_method_details"]}, "it is cut from"),
        ({"hashed": ["metadata"], "promoted": ["a"]}, "metadata can't be hashed as a whole"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(choices: dict[str, list[str]], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refused:
        choose(CHARGES, **choices)  # type: ignore[arg-type]
    assert refused.value.hint


def test_a_currency_goes_with_all_of_its_amounts() -> None:
    presentment = [f"presentment_details_presentment_{what}" for what in ("amount", "currency")]
    chosen = choose(CHARGES, left_out=presentment)
    assert lost(chosen) == {*presentment, "presentment_details_presentment_amount_major"}
