"""The columns that a dataset has of its report: keys of metadata promoted, columns left out, columns hashed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Protocol

from counterfoil.columns.column import Column
from counterfoil.columns.promoted import METADATA, promoted_columns
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.errors import SettingsError

Path = tuple[str, ...]


class Table(Protocol):
    """What is asked of a report."""

    @property
    def title(self) -> str: ...
    @property
    def columns(self) -> tuple[Column, ...]: ...
    @property
    def primary_key(self) -> tuple[str, ...]: ...
    @property
    def created(self) -> str | None: ...
    @property
    def order(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The table's columns, and what is to be done to the objects before they are kept."""

    #: In the table's order, without the system columns.
    columns: tuple[Column, ...]
    #: Places whose values are removed.
    removed: tuple[Path, ...] = ()
    #: Columns as they are declared, whose values are replaced by their hashes.
    hashed: tuple[Column, ...] = ()
    #: The only keys of metadata that stay; None when it is not left out, or goes as a whole.
    metadata: tuple[str, ...] | None = None
    #: Places of ids, where Stripe may send objects: what these hold could repeat what is removed.
    ids: tuple[Path, ...] = ()

    @property
    def redacts(self) -> bool:
        """Whether objects are changed at all."""
        return bool(self.removed or self.hashed or self.metadata is not None)


def choose(
    table: Table, *, promoted: Iterable[str] = (), left_out: Iterable[str] = (), hashed: Iterable[str] = ()
) -> Chosen:
    """`promoted` are keys of metadata; `left_out` and `hashed` are names of columns, promoted ones included.

    A column takes along what repeats it: `amount` its `amount_major`, a JSON column those cut from it. Only promoted
    keys stay when `metadata` is left out. SettingsError says what can't be and what to do instead.
    """
    ours = promoted_columns(table.title, table.columns, promoted)
    columns = tuple(_inserted(table.columns, ours))
    by_name = {column.name: column for column in columns}
    # What was chosen of a column by its earlier name holds for the column.
    renamed = {column.name: column.copy_of for column in columns if column.copy_of}
    out, hidden = (tuple(dict.fromkeys(renamed.get(name, name) for name in names)) for names in (left_out, hashed))
    for name in (*out, *hidden):
        _check_name(table.title, name, by_name)
    stays = {column.name for column in ours if column.name not in out} if "metadata" in out else set()
    _check_together(by_name, out, hidden, stays, has_promoted=bool(ours))
    gone = {column.name for column in _with_repeats(columns, out)} - stays
    repeats = {column.name for column in _with_repeats(columns, hidden)}
    _check_needed(table, gone | repeats)
    _check_currencies(columns, gone | repeats)
    left = tuple(
        _as_chosen(column, is_hashed=column.name in hidden, stands_alone=column.name in stays)
        for column in columns
        if column.name not in gone and (column.name in hidden or column.name not in repeats)
    )
    return Chosen(
        columns=left,
        removed=tuple(path for path in _places(columns, gone) if not (stays and path == METADATA)),
        hashed=tuple(by_name[name] for name in hidden),
        metadata=tuple(column.path[-1] for column in ours if column.name in stays) if stays else None,
        ids=tuple(column.path for column in left if column.type == "id"),
    )


def _inserted(columns: Iterable[Column], ours: tuple[Column, ...]) -> Iterator[Column]:
    for column in columns:
        yield column
        if column.path == METADATA:
            yield from ours


def _check_name(title: str, name: str, by_name: Mapping[str, Column]) -> None:
    if name in {column.name for column in SYSTEM_COLUMNS}:
        raise SettingsError(f"{name} is a column that every table has", hint="It can be neither left out nor hashed.")
    if name not in by_name:
        near = [known for known in by_name if name and name.lower() in known][:3]
        near = near or get_close_matches(name.lower(), by_name, n=3)
        raise SettingsError(
            f"{title} has no column {name!r}",
            hint=f"Did you mean {' or '.join(near)}?" if near else "`counterfoil reports --json` lists its columns.",
        )
    if by_name[name].type == "major":
        whole = name.removesuffix("_major")
        raise SettingsError(f"{name} repeats {whole}", hint=f"Choose {whole}: it takes {name} along.")


def _with_repeats(columns: Iterable[Column], names: Collection[str]) -> Iterator[Column]:
    """The named columns and those whose values are the same or a part of them."""
    columns = tuple(columns)
    paths = {column.path for column in columns if column.name in names}
    for column in columns:
        if any(column.path[:depth] in paths for depth in range(1, len(column.path) + 1)):
            yield column


def _check_together(
    by_name: Mapping[str, Column],
    out: Collection[str],
    hidden: Collection[str],
    stays: Collection[str],
    *,
    has_promoted: bool,
) -> None:
    for name in hidden:
        if name in out:
            raise SettingsError(f"{name} can't be both left out and hashed", hint="Choose one of the two.")
        path = by_name[name].path
        for whole in (*out, *hidden):
            above = by_name[whole].path
            if whole != name and path[: len(above)] == above and name not in stays:
                raise SettingsError(
                    f"{name} can't be hashed: it is cut from {whole}, which is left out or hashed as a whole",
                    hint=f"Choose either {name} or {whole}.",
                )
    if "metadata" in hidden and has_promoted:
        raise SettingsError(
            "metadata can't be hashed as a whole while keys of it are promoted",
            hint="Leave metadata out instead: its promoted keys stay.",
        )


def _check_needed(table: Table, changed: Collection[str]) -> None:
    needed = (*table.primary_key, *([table.created] if table.created else []), *table.order)
    names = [name for name in dict.fromkeys(name.removeprefix("-") for name in needed) if name in changed]
    if names:
        raise SettingsError(
            f"{' and '.join(names)} can be neither left out nor hashed",
            hint=f"The rows of {table.title} are told apart, dated or ordered by that. Choose other columns.",
        )


def _check_currencies(columns: Iterable[Column], changed: Collection[str]) -> None:
    """Amounts without a currency mean nothing."""
    amounts = [column for column in columns if column.currency in changed and column.name not in changed]
    if amounts:
        names = ", ".join(column.name for column in amounts if column.type != "major")
        raise SettingsError(
            f"{amounts[0].currency} can be neither left out nor hashed: it is the currency of {names}",
            hint=f"Keep {amounts[0].currency}, or leave those out as well.",
        )


def _as_chosen(column: Column, *, is_hashed: bool, stands_alone: bool) -> Column:
    if stands_alone:
        column = replace(column, derived=False)
    if is_hashed:
        column = replace(column, type="string", currency=None, description=f"{column.description}; hashed")
    return column


def _places(columns: Iterable[Column], gone: Collection[str]) -> Iterator[Path]:
    """Where what is gone comes from; an object of which no declared column stays goes as a whole."""
    columns = tuple(columns)
    whole = {column.path for column in columns}
    staying = {
        column.path[:depth] for column in columns if column.name not in gone for depth in range(len(column.path))
    }
    for path in dict.fromkeys(column.path for column in columns if column.name in gone):
        above = [path[:depth] for depth in range(1, len(path))]
        if whole.isdisjoint(above):  # else a JSON column holds more than its columns tell
            yield next((each for each in above if each not in staying), path)
        else:
            yield path
