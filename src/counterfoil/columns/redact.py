"""Removes values from Stripe's objects, or replaces them with hashes, before the objects are stored."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from counterfoil.columns import cells
from counterfoil.columns.chosen import Chosen, Path
from counterfoil.columns.column import ColumnType
from counterfoil.columns.json_text import canonical
from counterfoil.columns.promoted import METADATA
from counterfoil.values import Page, StripeObject

#: Hexadecimal digits of a hash: 128 bits.
DIGITS = 32
_LEAST_KEY_BYTES = 16

Replace = Callable[[Any], Any]
Redact = Callable[[StripeObject], StripeObject]


@dataclass(slots=True)
class _Step:
    """The changes to the members of one object; all other members are unchanged."""

    removed: list[str] = field(default_factory=list)
    replaced: dict[str, Replace] = field(default_factory=dict)
    below: dict[str, _Step] = field(default_factory=dict)
    #: The only members that remain; None for all.
    only: frozenset[str] | None = None
    #: Whether the object contains, at any depth, values to remove or to hash.
    secret: bool = False

    def at(self, path: Path, *, secret: bool = True) -> _Step:
        step = self
        for key in path:
            step = step.below.setdefault(key, _Step())
            step.secret = step.secret or secret
        return step


def redaction(chosen: Chosen, key: bytes = b"") -> Redact:
    """A function that returns a copy of an object without the left-out values and with hashes as text.

    Applying it twice would hash the hashes. Equal values have equal hashes if the key is the same. ValueError if the
    key is shorter than 16 bytes.
    """
    if not chosen.redacts:
        return lambda item: item
    if chosen.hashed and len(key) < _LEAST_KEY_BYTES:
        raise ValueError(f"the hash key has {len(key)} bytes, but needs at least {_LEAST_KEY_BYTES}")
    top = _Step()
    for *above, last in chosen.ids:
        top.at(tuple(above), secret=False).replaced[last] = _only_id
    for column in chosen.hashed:
        top.at(column.path[:-1]).replaced[column.path[-1]] = _hashing(key, column.type)
    if chosen.metadata is not None:
        top.at(METADATA).only = frozenset(chosen.metadata)
    for path in chosen.removed:
        top.at(path[:-1]).removed.append(path[-1])
    return lambda item: _apply(top, item)


def redacted(page: Page, redact: Redact) -> Page:
    """The page with every object redacted, at the same position in Stripe's list."""
    return replace(page, objects=[redact(item) for item in page.objects])


def _apply(step: _Step, item: StripeObject) -> StripeObject:
    # A copy, because rows can share an embedded object.
    result = item.copy() if step.only is None else {key: item[key] for key in item if key in step.only}
    for key in step.removed:
        result.pop(key, None)
    for key, below in step.below.items():
        value = result.get(key)
        if type(value) is dict:
            result[key] = _apply(below, value)
        elif value is not None and below.secret:
            # An unexpected type can contain the secret value anywhere.
            del result[key]
    for key, replacement in step.replaced.items():
        value = result.get(key)
        if value is not None:
            result[key] = replacement(value)
    return result


def _only_id(value: Any) -> Any:
    """The id of a value. An object that Stripe sent instead of an id can repeat left-out values."""
    if type(value) is dict:
        value = value.get("id")
        return value if cells.is_text(value) else None
    return None if type(value) is list else value


def _hashing(key: bytes, kind: ColumnType) -> Replace:
    # A closure, because the repr of a `partial` would show the key.
    return lambda value: hmac.digest(key, _text(kind, value).encode(), "sha256").hex()[:DIGITS]


def _text(kind: ColumnType, value: Any) -> str:
    """The text to hash: a string itself, the id of an expanded object, or the JSON of any other value."""
    cell = value if kind == "json" else cells.cell(kind, value)
    if cell is cells.MISFIT:
        cell = value
    elif kind == "double":
        cell = float(cell)
    return cell if cells.is_text(cell) else canonical(cell)
