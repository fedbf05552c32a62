"""The columns of a dataset: the report's columns with promoted metadata keys, without some, or with hashed values."""

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
    """The part of a report that this module uses."""

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
    """The table's columns, and the changes to objects before they are stored."""

    #: In the table's order, without the system columns.
    columns: tuple[Column, ...]
    #: Paths of removed values.
    removed: tuple[Path, ...] = ()
    #: The declared columns with values that are replaced by hashes.
    hashed: tuple[Column, ...] = ()
    #: The metadata keys that remain; None if metadata is not left out, or is removed completely.
    metadata: tuple[str, ...] | None = None
    #: Paths of ids for which Stripe may send objects, which could repeat removed values.
    ids: tuple[Path, ...] = ()

    @property
    def redacts(self) -> bool:
        """Whether objects are changed before they are stored."""
        return bool(self.removed or self.hashed or self.metadata is not None)


def choose(
    table: Table, *, promoted: Iterable[str] = (), left_out: Iterable[str] = (), hashed: Iterable[str] = ()
) -> Chosen:
    """`promoted` are metadata keys; `left_out` and `hashed` are names of columns, including promoted ones.

    A choice also applies to the columns that repeat the values: `amount_major` for `amount`, and the columns extracted
    from a JSON column. If `metadata` is left out, its promoted keys remain. SettingsError for an invalid choice.
    """
    ours = promoted_columns(table.title, table.columns, promoted)
    columns = tuple(_inserted(table.columns, ours))
    by_name = {column.name: column for column in columns}
    # A choice for a column's earlier name applies to the column.
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
        text = f"{name} is a system column and can't be left out or hashed"
        raise SettingsError(text, hint="Use other columns.", code="system_column")
    if name not in by_name:
        near = [known for known in by_name if name and name.lower() in known][:3]
        near = near or get_close_matches(name.lower(), by_name, n=3)
        raise SettingsError(
            f"{title} has no column {name!r}",
            hint=f"Did you mean {' or '.join(near)}?" if near else "List its columns with: counterfoil reports --json",
            code="column_not_found",
        )
    if by_name[name].type == "major":
        whole = name.removesuffix("_major")
        hint = f"Use {whole}, which includes {name}."
        raise SettingsError(f"{name} is derived from {whole}", hint=hint, code="derived_column")


def _with_repeats(columns: Iterable[Column], names: Collection[str]) -> Iterator[Column]:
    """The named columns, and the columns with the same values or with parts of them."""
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
            text = f"{name} can't be both left out and hashed"
            raise SettingsError(text, hint="Use only one of the two.", code="conflicting_columns")
        path = by_name[name].path
        for whole in (*out, *hidden):
            above = by_name[whole].path
            if whole != name and path[: len(above)] == above and name not in stays:
                raise SettingsError(
                    f"{name} can't be hashed: it is part of {whole}, which is left out or hashed",
                    hint=f"Use either {name} or {whole}.",
                    code="conflicting_columns",
                )
    if "metadata" in hidden and has_promoted:
        raise SettingsError(
            "metadata can't be hashed while some of its keys are promoted",
            hint="Leave out metadata instead; its promoted keys remain.",
            code="conflicting_columns",
        )


def _check_needed(table: Table, changed: Collection[str]) -> None:
    needed = (*table.primary_key, *([table.created] if table.created else []), *table.order)
    names = [name for name in dict.fromkeys(name.removeprefix("-") for name in needed) if name in changed]
    if names:
        raise SettingsError(
            f"{' and '.join(names)} can't be left out or hashed",
            hint=f"Use other columns; {table.title} needs these as its key, creation time or sort order.",
            code="required_column",
        )


def _check_currencies(columns: Iterable[Column], changed: Collection[str]) -> None:
    """Raises SettingsError if an amount would lose its currency."""
    amounts = [column for column in columns if column.currency in changed and column.name not in changed]
    if amounts:
        names = ", ".join(column.name for column in amounts if column.type != "major")
        raise SettingsError(
            f"{amounts[0].currency} can't be left out or hashed: it is the currency of {names}",
            hint=f"Keep {amounts[0].currency}, or leave out those columns too.",
            code="required_column",
        )


def _as_chosen(column: Column, *, is_hashed: bool, stands_alone: bool) -> Column:
    if stands_alone:
        column = replace(column, derived=False)
    if is_hashed:
        column = replace(column, type="string", currency=None, description=f"{column.description}; hashed")
    return column


def _places(columns: Iterable[Column], gone: Collection[str]) -> Iterator[Path]:
    """The paths of removed values. An object of which no declared column remains is removed completely."""
    columns = tuple(columns)
    whole = {column.path for column in columns}
    staying = {
        column.path[:depth] for column in columns if column.name not in gone for depth in range(len(column.path))
    }
    for path in dict.fromkeys(column.path for column in columns if column.name in gone):
        above = [path[:depth] for depth in range(1, len(path))]
        if whole.isdisjoint(above):  # a JSON column also contains undeclared values
            yield next((each for each in above if each not in staying), path)
        else:
            yield path
