"""Names that users choose and ids that the program generates: their forms, and errors about them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

from counterfoil.errors import NameTaken, SettingsError
from counterfoil.logging import redacted

Noun = Literal["account", "alert", "dataset", "token"]

_PREFIXES: dict[Noun, str] = {"account": "acc", "alert": "al", "dataset": "ds", "token": "tok"}
_LONGEST = 100


def new_id(noun: Noun) -> str:
    """An id: `acc_`, `al_`, `ds_` or `tok_` and twelve hexadecimal digits."""
    return f"{_PREFIXES[noun]}_{secrets.token_hex(6)}"


def is_id(noun: Noun, word: str) -> bool:
    """Whether the word has the form of an id."""
    return re.fullmatch(_PREFIXES[noun] + r"_[0-9a-f]{12}", word) is not None


def checked_name(noun: Noun, name: str) -> str:
    """The name without surrounding spaces; SettingsError if it is invalid."""
    name = name.strip()
    if redacted(name) != name:
        raise SettingsError(f"the name of the {noun} is a key or a token", hint="Use a name that is not secret.")
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise SettingsError(
            f"invalid name of {_an(noun)}: {name[:_LONGEST]!r}", hint=f"Use 1 to {_LONGEST} printable characters."
        )
    if is_id(noun, name):
        raise SettingsError(f"invalid name of {_an(noun)}: {name} is an id", hint="Use a name that is not an id.")
    return name


def taken(noun: Noun, name: str) -> NameTaken:
    """The error for a name that is already in use."""
    return NameTaken(f"{noun} {name!r} already exists", hint="Choose another name.")


def unknown(noun: Noun, word: str, names: Iterable[str]) -> SettingsError:
    """The error for an unknown name or id."""
    near = get_close_matches(word, list(names), n=1, cutoff=0.5)
    known = f"Run: counterfoil {noun}s list"
    return SettingsError(
        f"{noun} {redacted(word)!r} not found",
        hint=f"Did you mean {near[0]!r}? {known}" if near else known,
        code=f"{noun}_not_found",
    )


def _an(noun: Noun) -> str:
    return f"an {noun}" if noun.startswith("a") else f"a {noun}"
