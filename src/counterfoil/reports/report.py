"""The definition of a report: frozen data, with one of a closed set of source shapes.

One function in `counterfoil.extract` reads each shape. A report never contains code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from counterfoil.columns.column import Column
from counterfoil.values import Method

EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """GET of a list, in pages of 100, newest first."""

    path: str
    #: The objects' type, as in their field `object`; empty if unknown.
    object: str = ""
    #: The field of each object that the `created` filter compares; None if the endpoint has no such filter.
    created: str | None = "created"
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    #: In Stripe's form for a list: `data.tiers`.
    expand: tuple[str, ...] = ()
    #: Embedded lists at the top of the object, such as `lines` or `items`. They are read to their end.
    lists: tuple[str, ...] = ()
    #: The list omits objects in which this field has a value, unless it is filtered by customer.
    hides: str = ""
    #: Only if the report needs another API version than the client's.
    api_version: str | None = None
    #: HTTP statuses that mean that Stripe retired the list: zero rows and a warning instead of an error.
    retired: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One list in a singleton. Its entries become rows."""

    bucket: str
    state: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Singleton:
    """One GET with one row, or, with `buckets`, one row per entry of each bucket's list.

    A row of a bucket is the list's entry with `_bucket`, `_state` and the object's other fields.
    """

    path: str
    #: The object's type, as in its field `object`.
    object: str = ""
    buckets: tuple[Bucket, ...] = ()
    #: Embedded lists, which are read to their end.
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Union:
    """Several listings in one table. The column `_kind` names the listing of each row."""

    listings: Mapping[str, Listing]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPath:
    """Paths of objects embedded in another listing's objects: `("items", "data", "*", "discounts", "*")`."""

    listing: Listing
    at: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Objects that Stripe embeds in others and does not list; each id once."""

    places: tuple[ObjectPath, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """The objects with a next invoice to preview: those in the listing with one of the statuses, sent as `param`."""

    listing: Listing
    param: str
    statuses: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One POST per object. The response is a row with the object's id in `key`; error codes in `none` mean no row."""

    path: str
    previewed: tuple[Previewed, ...]
    key: str
    none: frozenset[str]
    #: The type of the response, as in its field `object`.
    object: str = ""
    #: Embedded lists, which are read to their end.
    lists: tuple[str, ...] = ()


Source = Listing | Singleton | Union | Collected | Preview


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """An event that reports a change of an object of the report, with the path of that object's id in `data.object`."""

    type: str
    path: tuple[str, ...] = ("id",)
    #: In a union: the listing of the object.
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parents:
    """Parents of the rows. All rows of a parent are read again if one of them changes; events identify the parent."""

    #: The column with the parent's id.
    column: str
    #: The parameter that filters the source's lists by parent; None if the rows are embedded in the parents, which are
    #: the objects of the listing.
    param: str | None = None
    #: The path of the parents' own list, if the source reads that list too.
    path: str = ""
    #: The filter for rows that change without any event; every run reads them again.
    silent: Mapping[str, str] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Rows that change without an event: rows with `value` in `column`, after the time in `due`."""

    column: str
    value: str
    due: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A column with ids of another report's rows. If both tables exist, the other one should contain each id."""

    column: str
    #: The key of the other report.
    report: str
    #: A column of this row that, times `sign`, equals the other row's `amount` if both have the same currency.
    amount: str = ""
    sign: Literal[1, -1] = 1
    #: Whether objects of the other report can be deleted, so that their ids cannot be found.
    deletable: bool = False
    #: Only for rows with this `type`.
    of_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option that filters the report."""

    name: str
    #: The allowed values; empty if `pattern` describes them.
    choices: tuple[str, ...] = ()
    default: str | None = None
    #: The value that excludes nothing; None if that is to omit the option.
    widest: str | None = None
    #: Stripe's parameter. `sends` maps a choice to the value to send; None sends nothing.
    param: str = ""
    sends: Mapping[str, str | None] = field(default_factory=dict)
    #: `currency` (a known three-letter code) or `id`.
    pattern: Literal["", "currency", "id"] = ""
    #: Whether old objects can start to match the option without an event.
    drifts: bool = False
    description: str = ""


#: How an incremental run finds changes, in addition to new objects in the list. `events`: objects named in events.
#: `pending`: objects with a status that changes without an event. `parents`: all rows of the parents named in events.
#: `reread`: everything. `snapshot`: a state without objects. `immutable`: objects never change.
ChangeRule = Literal["events", "pending", "reread", "snapshot", "immutable", "parents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report that can be extracted. Frozen data."""

    key: str
    #: The name in the menu.
    title: str
    #: One line for users.
    description: str
    source: Source
    #: Declared columns in the table's order, without the system columns.
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ("id",)
    #: The column with the creation time; None for reports without one.
    created: str | None = "created"
    #: Stripe's order: names of columns, with `-` for descending.
    order: tuple[str, ...] = ("-created", "-id")
    #: Integer columns that are not money. Every integer column is listed here or has a currency.
    not_money: frozenset[str] = frozenset()
    events: tuple[EventType, ...] = ()
    changes: ChangeRule = "events"
    #: Only if `changes` is `parents`.
    parents: Parents | None = None
    #: Only if `changes` is `pending`.
    pending: Pending | None = None
    references: tuple[Reference, ...] = ()
    methods: tuple[Method, ...] = ("replace", "append", "merge", "partition")
    default_method: Method = "replace"
    #: Permissions that a restricted key needs, by their names in Stripe's errors (`rak_…`).
    permissions: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    #: Important facts for users of the table, one sentence each.
    notes: tuple[str, ...] = ()
