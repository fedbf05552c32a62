"""Keys of `metadata` that become text columns of their own."""

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
    """A column for each key, in the order of the keys; null where an object has no such key.

    SettingsError for a report whose objects have no metadata, a key that Stripe can't have, or a name that is taken.
    """
    keys = tuple(dict.fromkeys(keys))
    if keys and not any(column.path == METADATA for column in columns):
        raise SettingsError(f"The objects of {title} have no metadata", hint="Promote no keys.")
    for key in keys:
        _check(key)
    taken = {column.name for column in columns}
    names = list(_names(keys))
    for key, name in zip(keys, names, strict=True):
        if name in taken:
            raise SettingsError(
                f"{title} has a column {name} already, so the metadata key {key!r} can't become one",
                hint="Leave the key where it is: the column metadata has it.",
            )
    return tuple(
        Column(
            name=name, type="string", path=(*METADATA, key), derived=True, description=f"The key {key!r} of metadata"
        )
        for key, name in zip(keys, names, strict=True)
    )


def _check(key: str) -> None:
    if not 0 < len(key) <= _LONGEST_KEY or "[" in key or "]" in key:
        raise SettingsError(
            f"{key!r} can't be a key of metadata",
            hint=f"Stripe's keys have 1 to {_LONGEST_KEY} characters and no square brackets.",
        )


def _names(keys: Iterable[str]) -> Iterator[str]:
    """`Order ID` is `metadata_order_id`; a second key of that name is `metadata_order_id_2`."""
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
