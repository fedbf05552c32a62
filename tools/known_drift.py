"""Writes `tools/known_drift.json`, the fields of Stripe's SDK without a column: `python tools/known_drift.py`.

`newer` are fields of API versions after the pinned one; `omitted` are fields of the pinned version that Stripe's public
specification, the source of the columns, does not have. This script needs the `stripe` package; the docs are generated
from the file.
"""

from __future__ import annotations

import builtins
import json
import sys
import typing
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from counterfoil.columns.declared import api_version
from counterfoil.columns.shape import Shape, shape_of
from counterfoil.reports.catalogue import REPORTS
from counterfoil.reports.report import Listing, Preview, Report, Singleton, Union

OUTPUT = Path(__file__).with_suffix(".json")

#: The objects of reports with a source that does not name them.
OBJECTS = {
    "discounts": ("discount",),
    "invoice_line_items": ("line_item",),
    "subscription_items": ("subscription_item",),
    "application_fee_refunds": ("fee_refund",),
    "transfer_reversals": ("transfer_reversal",),
    "recipients": (),  # removed from the SDK
}
#: Fields that stripe 15.2.0, the SDK of the pinned API version, also has.
OMITTED = {
    "account": {f"settings.payments.statement_descriptor_prefix_{script}" for script in ("kana", "kanji")},
    "charges": {"authorization_code", "level3"},
}
#: Stripe sends this field only for deleted objects; it becomes the column `_deleted`.
DELETED = "deleted"

Fields = Mapping[str, Any]


class _Names(dict[str, Any]):
    """The names of a module, with a placeholder type for each name that is imported only for type checkers."""

    def __missing__(self, name: str) -> type:
        if hasattr(builtins, name):
            raise KeyError(name)
        return type(name, (), {})


def generate() -> str:
    """The text of the file."""
    sdk = import_module("stripe")
    reports = {report.key: _drift(report) for report in REPORTS}
    found = {
        "sdk": sdk.VERSION,
        "newest": sdk.api_version,
        "pinned": api_version(),
        "reports": {key: fields for key, fields in reports.items() if any(fields.values())},
    }
    return json.dumps(found, indent=1) + "\n"


def _drift(report: Report) -> dict[str, list[str]]:
    shape = shape_of(report.columns)
    paths = dict.fromkeys(path for fields in _objects(report) for path in _undeclared(fields, shape))
    omitted = OMITTED.get(report.key, set())
    return {
        "newer": [path for path in paths if path not in omitted],
        "omitted": [path for path in paths if path in omitted],
    }


def _objects(report: Report) -> Iterator[Fields]:
    """The fields of each kind of object that becomes a row."""
    for name in _names(report):
        fields = _fields(_class(name))
        buckets = report.source.buckets if isinstance(report.source, Singleton) else ()
        if buckets:
            lists = {bucket.path[0] for bucket in buckets}
            yield {name: kind for name, kind in fields.items() if name not in lists}
        for bucket in buckets:
            yield _entry(fields, bucket.path)
        if not buckets:
            yield fields


def _names(report: Report) -> tuple[str, ...]:
    source = report.source
    if report.key in OBJECTS:
        return OBJECTS[report.key]
    if isinstance(source, Union):
        return tuple(listing.object for listing in source.listings.values())
    if isinstance(source, Listing | Singleton | Preview) and source.object:
        return (source.object,)
    raise LookupError(f"add the object of {report.key} to OBJECTS")


def _class(name: str) -> type:
    found: type = import_module("stripe._object_classes").get_object_class("V1", name)
    if not hasattr(found, "OBJECT_NAME"):
        raise LookupError(f"object {name!r} not found in the SDK")
    return found


def _fields(cls: type) -> Fields:
    """The resolved annotations of an SDK class."""
    hints = typing.get_type_hints(cls, localns=_Names(vars(sys.modules[cls.__module__])))
    return {name: hints[name] for name in cls.__annotations__ if name != "OBJECT_NAME"}


def _entry(fields: Fields, path: tuple[str, ...]) -> Fields:
    """The fields of an entry in the list at this path."""
    for name in path:
        (cls,) = _classes(fields[name])
        fields = _fields(cls)
    return fields


def _undeclared(fields: Fields, shape: Shape) -> Iterator[str]:
    """The paths of fields without a column, in the order of the SDK."""
    for name, kind in fields.items():
        known = shape.fields.get(name)
        if known is None:
            if not shape.derived and name != DELETED:
                yield ".".join((*shape.path, name))
        elif known.index is None and known.shape is not None:
            for cls in _classes(kind):
                yield from _undeclared(_fields(cls), known.shape)


def _classes(kind: Any) -> list[type]:
    """The classes of objects within an annotation."""
    if isinstance(kind, type) and kind.__module__.startswith("stripe."):
        return [kind]
    return [cls for inner in typing.get_args(kind) for cls in _classes(inner)]


if __name__ == "__main__":
    OUTPUT.write_text(generate())
