"""What a report is: a frozen literal, and the closed set of shapes that its source can have.

Each shape is read by one function of `counterfoil.extract`; a report never has code of its own.
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
    """GET of a list, pages of 100, newest first."""

    path: str
    #: Stripe's name of the objects, which each of them repeats in `object`; empty where it is not known.
    object: str = ""
    #: The field of each object that the `created` filter compares; None where the endpoint takes no such filter.
    created: str | None = "created"
    params: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    #: As Stripe wants them for a list: `data.tiers`.
    expand: tuple[str, ...] = ()
    #: Embedded lists, from the top of the object, that are read to their end when Stripe cut them: `lines`, `items`.
    lists: tuple[str, ...] = ()
    #: The list leaves out objects in which this field has a value, unless it is narrowed to a customer.
    hides: str = ""
    #: Only where the report needs another version than the one that the client pins.
    api_version: str | None = None
    #: HTTP statuses that mean "Stripe retired this": zero rows and the report's notice, not an error.
    retired: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One list of a singleton that becomes rows."""

    bucket: str
    state: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Singleton:
    """One GET; one row, or with `buckets` one row per entry of each bucket's list.

    A row of a bucket is the list's entry with `_bucket`, `_state`, and what the object says beside its buckets.
    """

    path: str
    #: Stripe's name of the object.
    object: str = ""
    buckets: tuple[Bucket, ...] = ()
    #: Embedded lists that are read to their end when Stripe cut them.
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Union:
    """Several listings in one table, told apart by the column `_kind`."""

    listings: Mapping[str, Listing]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPath:
    """Where objects hang in another listing's objects: `("items", "data", "*", "discounts", "*")`."""

    listing: Listing
    at: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Objects that Stripe embeds in others and lists nowhere; each id once."""

    places: tuple[ObjectPath, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """Whose next invoice is previewed: each object of the listing with one of the statuses, sent as `param`."""

    listing: Listing
    param: str
    statuses: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One POST per object; the answer is a row under `key`, and the codes of `none` are an empty answer."""

    path: str
    previewed: tuple[Previewed, ...]
    key: str
    none: frozenset[str]
    #: Stripe's name of what the POST answers.
    object: str = ""
    #: Embedded lists that are read to their end when Stripe cut them.
    lists: tuple[str, ...] = ()


Source = Listing | Singleton | Union | Collected | Preview


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """An event that says that an object of this report changed, and where our object's id is in `data.object`."""

    type: str
    path: tuple[str, ...] = ("id",)
    #: In a union: which of its listings the object is of.
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parents:
    """Whose rows are read again together when one of them changes: events lead to the parent's id then."""

    #: The column that holds the parent's id.
    column: str
    #: The lists of the source take it as this parameter; None where the parents are the objects of the listing, and
    #: the rows hang in them.
    param: str | None = None
    #: Where the parents are themselves listed, when the source reads that list too.
    path: str = ""
    #: What the list is narrowed by to show rows that change without any event; they are read by every run.
    silent: Mapping[str, str] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Rows that change by themselves: those whose `column` is `value`, when the time in `due` has come."""

    column: str
    value: str
    due: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Ids of another report's rows in a column: where both are at hand, each is to be there."""

    column: str
    #: The key of the other report.
    report: str
    #: An amount of this row that is the other's `amount` where both are in one currency, times `sign`.
    amount: str = ""
    sign: Literal[1, -1] = 1
    #: Whether Stripe deletes objects of the other report, so that their ids lead nowhere.
    deletable: bool = False
    #: Only of rows whose `type` is this.
    of_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A choice of the user's that narrows the report."""

    name: str
    #: What may be given; empty for a value of the form that `pattern` tells.
    choices: tuple[str, ...] = ()
    default: str | None = None
    #: The choice that leaves nothing out; None where that is to give nothing.
    widest: str | None = None
    #: Stripe's parameter; a choice that is a key of `sends` sends that value, None sends nothing.
    param: str = ""
    sends: Mapping[str, str | None] = field(default_factory=dict)
    #: `currency` (three letters, known) or `id`.
    pattern: Literal["", "currency", "id"] = ""
    #: An old object may come to be let through, and no event tells of that.
    drifts: bool = False
    description: str = ""


#: How a change run finds what changed, beside new objects, which the list has: `events` reads again the objects that
#: events name; `pending` those of a status that is to change by itself; `parents` all rows of each parent that events
#: name; `reread` everything; `snapshot` has no objects, only a state; `immutable` never changes.
ChangeRule = Literal["events", "pending", "reread", "snapshot", "immutable", "parents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What can be extracted. Frozen data."""

    key: str
    #: As the menu shows it.
    title: str
    #: One line in our own words.
    description: str
    source: Source
    #: Declared columns in the table's order, without the system columns.
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ("id",)
    #: The column that holds the time of creation; None for reports without one.
    created: str | None = "created"
    #: As Stripe lists it: names of columns, `-` for newest first.
    order: tuple[str, ...] = ("-created", "-id")
    #: Integer columns that are not money. Every integer column is in here or names its currency.
    not_money: frozenset[str] = frozenset()
    events: tuple[EventType, ...] = ()
    changes: ChangeRule = "events"
    #: Of a report whose `changes` are those of its parents.
    parents: Parents | None = None
    #: Of one whose `changes` are pending.
    pending: Pending | None = None
    references: tuple[Reference, ...] = ()
    methods: tuple[Method, ...] = ("replace", "append", "merge", "partition")
    default_method: Method = "replace"
    #: Restricted-key permissions that reading it takes, as Stripe's errors name them (`rak_…`).
    permissions: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    #: What a reader of the numbers must know, a sentence each.
    notes: tuple[str, ...] = ()
