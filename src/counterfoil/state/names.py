"""Names that people give and ids that we give: what either may be, and which one a word means."""

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
    """`acc_`, `al_`, `ds_` or `tok_` and twelve hexadecimal digits."""
    return f"{_PREFIXES[noun]}_{secrets.token_hex(6)}"


def is_id(noun: Noun, word: str) -> bool:
    """Whether the word has the form of our ids."""
    return re.fullmatch(_PREFIXES[noun] + r"_[0-9a-f]{12}", word) is not None


def checked_name(noun: Noun, name: str) -> str:
    """The name without the space around it; SettingsError when it can't be one."""
    name = name.strip()
    if redacted(name) != name:
        raise SettingsError(f"The {noun}'s name is a key or a token", hint="Give it a name that anyone may read.")
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise SettingsError(
            f"{name[:_LONGEST]!r} can't be the name of {_an(noun)}", hint=f"Give 1 to {_LONGEST} printable characters."
        )
    if is_id(noun, name):
        raise SettingsError(f"{name} is an id, not a name", hint=f"Name the {noun} in your own words.")
    return name


def taken(noun: Noun, name: str) -> NameTaken:
    """What to raise when another one has the name."""
    return NameTaken(f"There is already {_an(noun)} {name!r}", hint="Choose another name.")


def unknown(noun: Noun, word: str, names: Iterable[str]) -> SettingsError:
    """What to raise when nothing has the name or id."""
    near = get_close_matches(word, list(names), n=1, cutoff=0.5)
    known = f"`counterfoil {noun}s list` shows them all."
    return SettingsError(
        f"There is no {noun} {redacted(word)!r}", hint=f"Did you mean {near[0]!r}? {known}" if near else known
    )


def _an(noun: Noun) -> str:
    return f"an {noun}" if noun.startswith("a") else f"a {noun}"
