"""The small values that several rooms share. No behaviour beyond their own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Method = Literal["replace", "append", "merge", "partition"]

#: What a single pull can do; a dataset, which remembers what it read before, can do more.
PullMethod = Literal["replace", "append"]

#: An object as Stripe sends it, decoded.
StripeObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open `[since, until)` of Stripe's `created`, in Unix seconds; None is unbounded."""

    since: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError(f"window ends at {self.until} before it starts at {self.since}")

    def __contains__(self, created: int) -> bool:
        return (self.since is None or created >= self.since) and (self.until is None or created < self.until)


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a run's archive."""

    path: Path
    rows: int
    bytes: int
    #: sha256 of the file, hexadecimal.
    checksum: str


@dataclass(frozen=True, slots=True)
class Parents:
    """Objects all of whose rows are in the parts: those whose `column` is one of the ids."""

    column: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Applying one run's parts to one table of a destination, in one transaction, once."""

    run: str
    table: str
    method: Method
    #: What the rows are limited to: `since`, `until`, `limit`, `options`; empty when the report is whole.
    scope: Mapping[str, Any] = field(default_factory=dict)
    #: Report key and account id, kept with the load.
    report: str = ""
    account: str = ""
    #: Columns that tell rows apart; merge needs them.
    primary_key: tuple[str, ...] = ()
    #: The column that holds the time of creation, where there is one.
    created: str | None = None
    #: Ranges of `created` of which the parts hold all that Stripe lists: `Window()` is everything. A partition replaces
    #: the table's rows in them; a merge takes the table's rows in them that the parts lack for deleted.
    covers: tuple[Window, ...] = ()
    #: The same for rows that belong together: those that are not in the parts are deleted.
    parents: Parents | None = None
    #: What a merge does to a row that is deleted: keep it, marked (`_deleted`, `_deleted_at`), or drop it.
    deleted: Literal["keep", "drop"] = "keep"
    #: Whether every version of every row is kept in `<table>__history`.
    history: bool = False
    #: When Stripe was read, by its clock, in Unix seconds; None is the latest `_synced_at` of the parts.
    as_of: int | None = None
    #: Order of the rows in the table: column names, newest first where prefixed with `-`.
    order: tuple[str, ...] = ()
    #: Comment for each column that has one.
    comments: Mapping[str, str] = field(default_factory=dict)
    #: Title and description of the report, for the table's comment.
    comment: str = ""
    #: Replace a table that this program did not make, or that holds more than this load brings.
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load did to its table.

    A merge counts keys: `added` were not there, `changed` have other values now. Every other method puts its rows in
    (`added`) and takes out those whose place they take (`deleted`), the same or not.
    """

    #: Rows that the parts brought; a merge counts each key once.
    rows: int = 0
    added: int = 0
    changed: int = 0
    #: Rows marked as deleted, or taken out.
    deleted: int = 0

    @property
    def unchanged(self) -> int:
        """Rows brought that were in the table as they are."""
        return self.rows - self.added - self.changed


@dataclass(frozen=True, slots=True)
class Position:
    """How far the pages of one window have come: what it takes to go on after them."""

    #: Id of the last object that Stripe listed, row or not.
    cursor: str
    #: `created` of the newest and of the oldest object listed; None where the list can't be bounded by it.
    newest: int | None
    oldest: int | None
    #: Objects listed so far, rows or not.
    listed: int


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of Stripe's, reduced to the objects that are rows, in Stripe's order."""

    #: Which listing of the report it belongs to: its path, or its kind in a union.
    source: str
    #: What the pages behind this one may still hold is bounded by it too: a window that was cut has a later `since`.
    window: Window
    #: The id that the request started after; None for the window's first page.
    cursor: str | None
    objects: Sequence[StripeObject]
    #: Whether the window is complete with this page.
    last: bool
    #: None when nothing was listed, or when reading can't go on from here.
    position: Position | None = None
    #: When Stripe rendered it, by Stripe's clock, in Unix seconds.
    date: int = 0
    #: Of a run that reads changes: objects all of whose rows are in this page.
    parents: tuple[str, ...] = ()
    #: Of such a run: with this page everything has been read after all.
    whole: bool = False
    #: Whether the list was read as one chain without windows, after Stripe had not kept to them. Its rows are those
    #: that no earlier page of the source holds.
    unwindowed: bool = False


#: The only key of an object that takes the place of a value which JSON text in UTF-8 cannot hold.
ESCAPED = "_escaped"


def escaped(text: str) -> StripeObject:
    """What takes the place of such a value: text with lone surrogates as `\\ud800`, a number as Stripe wrote it."""
    return {ESCAPED: text}


def is_escaped(value: Any) -> bool:
    """Whether it takes the place of such a value."""
    return type(value) is dict and value.keys() == {ESCAPED}
