"""The first rows of a report as cells, limited to columns with values."""

from __future__ import annotations

from dataclasses import dataclass

from counterfoil.app.datasets.drafts import ReportOptions
from counterfoil.app.values import Preview
from counterfoil.web.cells import Cell, Money, cells_of

_NUMBERS = ("BIGINT", "DOUBLE", "DECIMAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRows:
    """A preview as the page shows it."""

    #: Name, type, and whether it is a number.
    columns: tuple[tuple[str, str, bool], ...]
    rows: list[list[Cell]]
    #: Number of columns without a value in these rows.
    empty: int
    total: int
    warnings: tuple[str, ...]


def preview_rows(preview: Preview, offer: ReportOptions) -> PreviewRows:
    """The rows as cells. Columns without any value are only counted; amounts show their currency."""
    full = [(name, kind) for name, kind in preview.columns if any(row[name] is not None for row in preview.rows)]
    names = [name for name, _ in full]
    money = {one.name: Money(currency=one.currency, major=one.major) for one in offer.columns if one.currency}
    rows = ([row[name] for name in names] for row in preview.rows)
    return PreviewRows(
        columns=tuple((name, _short(kind), kind.startswith(_NUMBERS)) for name, kind in full),
        rows=cells_of(names, rows, json_columns={name for name, kind in full if kind == "JSON"}, money=money),
        empty=len(preview.columns) - len(full),
        total=len(preview.columns),
        warnings=preview.warnings,
    )


def _short(kind: str) -> str:
    return "TIMESTAMP" if kind == "TIMESTAMP WITH TIME ZONE" else kind
