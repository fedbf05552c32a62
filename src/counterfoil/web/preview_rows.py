"""The first rows of a report as text, in the columns that have values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterfoil.app.values import Preview

_NUMBERS = ("BIGINT", "DOUBLE", "DECIMAL")
_LONGEST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the page shows of a preview."""

    #: Name, type, and whether it is a number.
    columns: tuple[tuple[str, str, bool], ...]
    #: None for null.
    rows: tuple[tuple[str | None, ...], ...]
    #: How many columns have no value in these rows.
    empty: int
    total: int
    warnings: tuple[str, ...]


def shown(preview: Preview) -> Shown:
    """Columns without a value in any row are only counted."""
    full = [(name, kind) for name, kind in preview.columns if any(row[name] is not None for row in preview.rows)]
    return Shown(
        columns=tuple((name, _short(kind), kind.startswith(_NUMBERS)) for name, kind in full),
        rows=tuple(tuple(_cell(row[name]) for name, _ in full) for row in preview.rows),
        empty=len(preview.columns) - len(full),
        total=len(preview.columns),
        warnings=preview.warnings,
    )


def _short(kind: str) -> str:
    return "TIMESTAMP" if kind == "TIMESTAMP WITH TIME ZONE" else kind


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
