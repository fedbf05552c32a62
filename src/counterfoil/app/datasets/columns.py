"""The columns of a dataset and the origin of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from counterfoil.columns.chosen import choose
from counterfoil.columns.schema import SQL_TYPES
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.reports.catalogue import report as report_of
from counterfoil.state.dataset import Dataset

#: From Stripe's object, from a key of its metadata, or from Counterfoil.
Origin = Literal["stripe", "metadata", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetColumn:
    """A column that the next run fills."""

    name: str
    #: The SQL type.
    type: str
    origin: Origin
    #: Path of keys in Stripe's object; empty for columns of Counterfoil.
    path: tuple[str, ...]
    hashed: bool
    #: For amounts: the column of the currency, and whether the amount is in major units.
    currency: str | None
    major: bool
    is_key: bool
    description: str


def dataset_columns(dataset: Dataset) -> tuple[DatasetColumn, ...]:
    """The columns that the dataset selects, in the order of the table."""
    report, choice = report_of(dataset.report), dataset.choice
    chosen = choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    hashed = {column.name for column in chosen.hashed}
    ours = {column.name for column in SYSTEM_COLUMNS}
    return tuple(
        DatasetColumn(
            name=column.name,
            type=SQL_TYPES[column.type],
            origin="system" if column.name in ours else "metadata" if column.path[:-1] == ("metadata",) else "stripe",
            path=column.path,
            hashed=column.name in hashed,
            currency=column.currency,
            major=column.type == "major",
            is_key=column.name in report.primary_key,
            description=column.description,
        )
        for column in (*chosen.columns, *SYSTEM_COLUMNS)
    )
