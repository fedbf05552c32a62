"""Reads all rows of a parent. Only a deleted parent has no rows; any other error is raised."""

from __future__ import annotations

from typing import Any

import pytest

from counterfoil.errors import RunError
from counterfoil.extract.by_parent import rows_of_parents
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.catalogue import report as report_of
from counterfoil.values import StripeObject, Window

from .scripted import Scripted, collect, list_response


def _rows(refusal: RunError) -> list[StripeObject]:
    """The invoice items of two customers; Stripe refuses the request for the second."""

    def respond(_path: str, params: dict[str, Any]) -> dict[str, Any]:
        if params["customer"] == "cus_2":
            raise refusal
        return list_response([{"object": "invoiceitem", "id": "ii_1", "customer": "cus_1", "date": 5}])

    stripe, report = Scripted(respond), report_of("invoiceitems")
    pages = rows_of_parents(
        stripe.client,
        report,
        ["cus_1", "cus_2"],
        Window(),
        again=(),
        notices=Warnings(),
        params={"pending": "false"},
    )
    return collect(pages)


def test_a_deleted_parent_has_no_rows() -> None:
    refusal = RunError("No such customer", status=404, code="resource_missing", param="customer")
    assert [row["id"] for row in _rows(refusal)] == ["ii_1"]


@pytest.mark.parametrize(
    ("code", "param"),
    [("resource_missing", "invoice"), ("resource_missing", None), ("parameter_invalid_empty", "customer")],
)
def test_other_errors_do_not_count_as_a_deleted_parent(code: str, param: str | None) -> None:
    refusal = RunError("refused", status=404, code=code, param=param)
    with pytest.raises(RunError) as caught:
        _rows(refusal)
    assert caught.value is refusal
