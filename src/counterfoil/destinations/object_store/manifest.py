"""The manifest of a table's version in an object store: its files and its record of loads, in one object."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from counterfoil.destinations.files.table_record import Record
from counterfoil.destinations.parquet.time_ranges import Span
from counterfoil.errors import DestinationRejected

_FORMAT = 1
_OURS = re.compile(r"(\d{8})-[0-9a-f]{8}-")


@dataclass(frozen=True, slots=True)
class Entry:
    """A data file: its path below the table, and its range of creation times."""

    path: str
    rows: int
    bytes: int
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A version. Numbers increase by one; the greatest is the current version."""

    number: int
    record: Record
    files: Sequence[Entry]
    #: The id of the previous version; empty for the first.
    after: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    #: Whether the table was dropped. The number stays in use, so that no earlier load can take it.
    dropped: bool = False

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(entry.path for entry in self.files)


def manifest_name(number: int) -> str:
    """The name of the object. Names sort like numbers."""
    return f"{number:08}.json"


def number_of(manifest: str) -> int | None:
    """The number in the name of a manifest; None for any other name."""
    stem, _, suffix = manifest.partition(".")
    return int(stem) if suffix == "json" and len(stem) == 8 and stem.isdigit() else None


def data_name(number: int, load: str, name: str) -> str:
    """The name of a new data file of a version, from the name of a file of this or an earlier version."""
    return f"{number:08}-{load}-{_OURS.sub('', name, count=1) if _OURS.match(name) else name}"


def version_of(path: str) -> int | None:
    """The version that a data file was written for; None if Counterfoil did not write the file."""
    found = _OURS.match(path.rpartition("/")[2])
    return int(found[1]) if found else None


def written(manifest: Manifest) -> bytes:
    """The manifest as JSON, for any reader: `columns`, `rows`, `files` with their `path` below the table, `loads`."""
    files = []
    for entry in manifest.files:
        values: dict[str, Any] = {"path": entry.path, "rows": entry.rows, "bytes": entry.bytes}
        files.append(values | ({"span": asdict(entry.span)} if entry.span else {}))
    values = {"format": _FORMAT, "id": manifest.id, "after": manifest.after, "dropped": manifest.dropped}
    return orjson.dumps(values | asdict(manifest.record) | {"files": files}, option=orjson.OPT_INDENT_2)


def read_manifest(number: int, data: bytes, place: str) -> Manifest:
    """DestinationRejected if the data is not a valid manifest."""
    try:
        values = orjson.loads(data)
        if values["format"] != _FORMAT:
            raise DestinationRejected(
                f"{place} has the unsupported format {values['format']!r}",
                hint="Upgrade Counterfoil: pip install -U counterfoil",
                code="unsupported_format",
            )
        record = Record(
            [(name, kind) for name, kind in values["columns"]],
            values["rows"],
            values["comment"],
            values["comments"],
            values["loads"],
        )
        files = [
            Entry(file["path"], file["rows"], file["bytes"], Span(**file["span"]) if "span" in file else None)
            for file in values["files"]
        ]
        return Manifest(number, record, files, values["after"], values["id"], values["dropped"])
    except (ValueError, TypeError, KeyError) as error:
        raise DestinationRejected(
            f"{place} is damaged", hint="Choose another table, or remove this one.", code="damaged_record"
        ) from error
