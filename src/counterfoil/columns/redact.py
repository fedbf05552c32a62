"""Takes values out of Stripe's objects, or puts hashes in their places, before anything is kept of them."""

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
    """What happens to the members of one object; all others stay."""

    removed: list[str] = field(default_factory=list)
    replaced: dict[str, Replace] = field(default_factory=dict)
    below: dict[str, _Step] = field(default_factory=dict)
    #: The only members that stay; None for all.
    only: frozenset[str] | None = None
    #: There is something in it, or below it, to remove or to hash.
    secret: bool = False

    def at(self, path: Path, *, secret: bool = True) -> _Step:
        step = self
        for key in path:
            step = step.below.setdefault(key, _Step())
            step.secret = step.secret or secret
        return step


def redaction(chosen: Chosen, key: bytes = b"") -> Redact:
    """From an object as Stripe sends it to a new one, of which what is left out is gone and what is hashed is text.

    Not to be applied twice: that would hash the hashes. Equal values have equal hashes as long as the key is the same;
    ValueError when it is shorter than 16 bytes.
    """
    if not chosen.redacts:
        return lambda item: item
    if chosen.hashed and len(key) < _LEAST_KEY_BYTES:
        raise ValueError(f"the key of the hashes has {len(key)} bytes, and must have {_LEAST_KEY_BYTES} or more")
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
    """The page with every object redacted; where it stands in Stripe's list stays."""
    return replace(page, objects=[redact(item) for item in page.objects])


def _apply(step: _Step, item: StripeObject) -> StripeObject:
    # A new object: an object in the place of another may be shared between rows.
    result = item.copy() if step.only is None else {key: item[key] for key in item if key in step.only}
    for key in step.removed:
        result.pop(key, None)
    for key, below in step.below.items():
        value = result.get(key)
        if type(value) is dict:
            result[key] = _apply(below, value)
        elif value is not None and below.secret:
            # What is not the object that it should be may hold the value anywhere.
            del result[key]
    for key, replacement in step.replaced.items():
        value = result.get(key)
        if value is not None:
            result[key] = replacement(value)
    return result


def _only_id(value: Any) -> Any:
    """An object that was sent for an id may repeat what is left out; only its id is wanted."""
    if type(value) is dict:
        value = value.get("id")
        return value if cells.is_text(value) else None
    return None if type(value) is list else value


def _hashing(key: bytes, kind: ColumnType) -> Replace:
    # A closure, since the repr of a `partial` would show the key.
    return lambda value: hmac.digest(key, _text(kind, value).encode(), "sha256").hex()[:DIGITS]


def _text(kind: ColumnType, value: Any) -> str:
    """Texts stand for themselves, as does the id of an expanded object; all else is hashed as its JSON."""
    cell = value if kind == "json" else cells.cell(kind, value)
    if cell is cells.MISFIT:
        cell = value
    elif kind == "double":
        cell = float(cell)
    return cell if cells.is_text(cell) else canonical(cell)
