"""Promoted columns: keys of `metadata` as separate text columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator

from counterfoil.columns.column import Column
from counterfoil.columns.declared import NAME_BYTES
from counterfoil.errors import SettingsError

METADATA = ("metadata",)

#: https://docs.stripe.com/api/metadata: keys of up to 40 characters, without square brackets.
_LONGEST_KEY = 40


def promoted_columns(title: str, columns: Collection[Column], keys: Iterable[str]) -> tuple[Column, ...]:
    """A column for each key, in the order of the keys; null for objects without the key.

    SettingsError for a report without metadata, an invalid key, or the name of an existing column.
    """
    keys = tuple(dict.fromkeys(keys))
    if keys and not any(column.path == METADATA for column in columns):
        raise SettingsError(f"{title} has no metadata", hint="Remove the promoted keys.", code="no_metadata")
    for key in keys:
        _check(key)
    taken = {column.name for column in columns}
    names = list(_names(keys))
    for key, name in zip(keys, names, strict=True):
        if name in taken:
            raise SettingsError(
                f"the metadata key {key!r} can't be promoted: {title} already has a column {name}",
                hint="Use the column metadata, which contains the key.",
                code="column_exists",
            )
    return tuple(
        Column(name=name, type="string", path=(*METADATA, key), derived=True, description=f"The metadata key {key!r}")
        for key, name in zip(keys, names, strict=True)
    )


def _check(key: str) -> None:
    if not 0 < len(key) <= _LONGEST_KEY or "[" in key or "]" in key:
        raise SettingsError(
            f"invalid metadata key: {key!r}",
            hint=f"Use 1 to {_LONGEST_KEY} characters without square brackets.",
            code="invalid_metadata_key",
        )


def _names(keys: Iterable[str]) -> Iterator[str]:
    """Column names: `Order ID` becomes `metadata_order_id`, a second key with that name `metadata_order_id_2`."""
    used: set[str] = set()
    for key in keys:
        words = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", key).lower()).strip("_")
        wanted, name, count = f"metadata_{words or 'key'}", "", 1
        while not name or name in used:
            tail = f"_{count}" if count > 1 else ""
            name = wanted.encode()[: NAME_BYTES - len(tail)].decode(errors="ignore") + tail
            count += 1
        used.add(name)
        yield name
