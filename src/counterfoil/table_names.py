"""Rules for table names, per kind of destination. Pure functions; `destinations/kinds.py` assigns the rules."""

from __future__ import annotations

from dataclasses import dataclass

from counterfoil.errors import INVALID_TABLE, SettingsError

#: Postgres truncates longer names, and the table of a dataset has the same name in all of its destinations.
MOST_BYTES = 63

#: Prefix of our own tables, in lower case.
RESERVED = "_counterfoil"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRules:
    """The table names that a destination accepts. All accept letters, digits and `_`."""

    #: Additional characters allowed inside a name.
    also: str = ""
    #: Whether only lower-case ASCII letters are allowed.
    lower_ascii: bool = False
    #: Prefixes, in lower case, that the destination or its loader reserves.
    reserved: tuple[str, ...] = (RESERVED,)
    most_bytes: int = MOST_BYTES


#: The rules for tables that are folders of files.
FILE_NAMES = NameRules(also="-")


def check_name(name: str, rules: NameRules, scheme: str) -> None:
    """Raises SettingsError with the name and the rule that it breaks."""
    for broken, rule in _broken(name, rules):
        if broken:
            raise SettingsError(
                f"invalid table name for {scheme}: {name!r} {rule}", hint=_hint(rules), code=INVALID_TABLE
            )


def _broken(name: str, rules: NameRules) -> list[tuple[bool, str]]:
    wrong = next((letter for letter in name if not _allowed(letter, rules)), "")
    reserved = next((prefix for prefix in rules.reserved if name.lower().startswith(prefix)), "")
    first, last = name[:1], name[-1:]
    return [
        (not name, "is empty"),
        (bool(wrong), f"contains {wrong!r}"),
        (first.isdigit() or first in rules.also, f"begins with {first!r}"),
        (last in rules.also, f"ends with {last!r}"),
        (len(name.encode()) > rules.most_bytes, f"has {len(name.encode())} bytes; {rules.most_bytes} are allowed"),
        (bool(reserved), f"begins with the reserved prefix {reserved!r}"),
    ]


def _allowed(letter: str, rules: NameRules) -> bool:
    if letter in rules.also:
        return True
    # Characters allowed inside an identifier: letters, digits and marks of every script.
    return f"_{letter}".isidentifier() and (not rules.lower_ascii or (letter.isascii() and not letter.isupper()))


def _hint(rules: NameRules) -> str:
    letters = "lower-case ASCII letters" if rules.lower_ascii else "letters"
    also = f", and {' '.join(repr(letter) for letter in rules.also)} inside" if rules.also else ""
    return f"Use {letters}, digits and _{also}; begin with a letter or _, and use at most {rules.most_bytes} bytes."
