"""Small value types that several packages share. Their only behaviour is arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Method = Literal["replace", "append", "merge", "partition"]

#: The methods of a single pull. A dataset keeps state between runs and supports all methods.
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
    """Parent objects of which the parts contain every row: the rows with one of the ids in `column`."""

    column: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Applying the parts of one run to one table of a destination, in one transaction, exactly once."""

    run: str
    table: str
    method: Method
    #: Limits on the rows: `since`, `until`, `limit`, `options`; empty for the whole report.
    scope: Mapping[str, Any] = field(default_factory=dict)
    #: Report key and account id, stored with the load.
    report: str = ""
    account: str = ""
    #: Columns that identify a row; required for merge.
    primary_key: tuple[str, ...] = ()
    #: The column with the creation time, if the table has one.
    created: str | None = None
    #: Ranges of `created` in which the parts contain every row that Stripe lists; `Window()` is everything. A partition
    #: replaces the table's rows in these ranges. A merge treats rows in them that the parts do not contain as deleted.
    covers: tuple[Window, ...] = ()
    #: The same for all rows of some parents: rows that the parts do not contain are deleted.
    parents: Parents | None = None
    #: How a merge treats deleted rows: keeps them, marked (`_deleted`, `_deleted_at`), or drops them.
    deleted: Literal["keep", "drop"] = "keep"
    #: Whether every version of every row is stored in `<table>__history`.
    history: bool = False
    #: When the data was read, by Stripe's clock, in Unix seconds; None is the latest `_synced_at` of the parts.
    as_of: int | None = None
    #: Order of the rows in the table: column names, descending where prefixed with `-`.
    order: tuple[str, ...] = ()
    #: Comment for each column that has one.
    comments: Mapping[str, str] = field(default_factory=dict)
    #: Title and description of the report, for the table's comment.
    comment: str = ""
    #: Whether to replace a table that Counterfoil did not create, or that contains more than this load.
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The result of a load.

    A merge counts keys: `added` are new, `changed` have new values. Every other method counts all of its rows as
    `added` and all rows that they replace as `deleted`, even if they are equal.
    """

    #: Rows in the parts; a merge counts each key once.
    rows: int = 0
    added: int = 0
    changed: int = 0
    #: Rows marked as deleted, or removed.
    deleted: int = 0

    @property
    def unchanged(self) -> int:
        """Rows that the table already contained with the same values."""
        return self.rows - self.added - self.changed


@dataclass(frozen=True, slots=True)
class Position:
    """The progress within one window, from which reading can resume."""

    #: Id of the last object listed, whether it became a row or not.
    cursor: str
    #: `created` of the newest and of the oldest object listed; None if the list has no `created` filter.
    newest: int | None
    oldest: int | None
    #: Objects listed so far, whether they became rows or not.
    listed: int


@dataclass(frozen=True, slots=True)
class Page:
    """One API response, reduced to the objects that are rows, in Stripe's order."""

    #: The listing of the report that the page belongs to: its path, or its kind in a union.
    source: str
    #: The window when the page was requested. It bounds the following pages too; splitting a window raises its `since`.
    window: Window
    #: The id that the request started after; None for the window's first page.
    cursor: str | None
    objects: Sequence[StripeObject]
    #: Whether the window is complete with this page.
    last: bool
    #: None if nothing was listed, or if reading can't resume from here.
    position: Position | None = None
    #: When Stripe rendered it, by Stripe's clock, in Unix seconds.
    date: int = 0
    #: In an incremental run: parents of which this page contains every row.
    parents: tuple[str, ...] = ()
    #: In an incremental run: the last page of a run that became a full refresh.
    whole: bool = False
    #: Whether the list is read as one chain without windows, because Stripe's answers did not respect them. The rows
    #: are those that no earlier page of the source contains.
    unwindowed: bool = False


#: The only key of the object that replaces a value that JSON text in UTF-8 cannot represent.
ESCAPED = "_escaped"


def escaped(text: str) -> StripeObject:
    """The replacement for such a value: text with lone surrogates as `\\ud800`, a number as Stripe sent it."""
    return {ESCAPED: text}


def is_escaped(value: Any) -> bool:
    """Whether the value is such a replacement."""
    return type(value) is dict and value.keys() == {ESCAPED}
