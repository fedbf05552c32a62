"""The spool: every page of a run, one frame each, in the order of arrival.

A frame is three little-endian numbers (length of the header, length of the body, CRC-32 of both lengths, header and
body), the header as JSON, and the body: the page's objects as JSON, compressed. A file is valid up to its first frame
that is incomplete or has a wrong checksum; everything from that frame on is ignored.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from counterfoil.archive.disk import writing
from counterfoil.archive.ledger import Ledger
from counterfoil.columns.json_text import encoded
from counterfoil.errors import RunError
from counterfoil.values import Page, Position, Window

_MAGIC = b"CFSPOOL2"
_LENGTHS = struct.Struct("<II")
_CHECKSUM = struct.Struct("<I")
_PREFIX = _LENGTHS.size + _CHECKSUM.size
#: The error codes for a frame that is not a page, and for a file that is not a spool.
DAMAGED_SPOOL, NOT_A_SPOOL = "damaged_spool", "not_a_spool"
#: Maximum decompressed size of a page, which has at most 100 objects. Larger frames are rejected.
_MOST_BYTES = 1 << 30
_NUMBER: tuple[type, ...] = (int, type(None))
#: The types of a header's values, and of its position's.
_HEADER: dict[str, tuple[type, ...]] = {
    "source": (str,),
    "since": _NUMBER,
    "until": _NUMBER,
    "cursor": (str, type(None)),
    "last": (bool,),
    "position": (dict, type(None)),
    "date": (int,),
    "rows": (int,),
    "bytes": (int,),
}
_POSITION: dict[str, tuple[type, ...]] = {"cursor": (str,), "newest": _NUMBER, "oldest": _NUMBER, "listed": (int,)}
#: Level 1 takes 1.6 us per object, lz4 1.2; the result is half the size of lz4's.
_CODEC = pa.Codec("zstd", compression_level=1)


class Spool:
    """Appends pages to one file, one writer at a time. An existing file is truncated to its valid prefix first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: The coverage of the pages, updated with each page.
        self.ledger = Ledger()
        with writing(path.parent):
            self._end = self._open_at()
            self._file = path.open("r+b", buffering=0)
            self._file.truncate(self._end)
            self._file.seek(self._end)

    def _open_at(self) -> int:
        end = 0
        if self.path.exists():
            for page, end in _pages(self.path):  # noqa: B007
                self.ledger.add(page)
            end = max(end, len(_MAGIC) if _is_spool(self.path) else 0)
        if end == 0:
            self.path.write_bytes(_MAGIC)
            end = len(_MAGIC)
        return end

    def append(self, page: Page) -> None:
        """Stores the page. It survives a crash of the process after this returns, and a power failure after `close`."""
        frame = _frame(page)
        with writing(self.path.parent):
            try:
                _write_all(self._file, frame)
            except OSError:
                # The reader would stop at an incomplete frame.
                self._file.truncate(self._end)
                self._file.seek(self._end)
                raise
        self._end += len(frame)
        self.ledger.add(page)

    def empty(self) -> None:
        """Removes all pages."""
        self._end = len(_MAGIC)
        with writing(self.path.parent):
            self._file.truncate(self._end)
            self._file.seek(self._end)
        self.ledger = Ledger()

    def close(self) -> None:
        """Makes the file durable across a power failure, and closes it; a second call has no effect."""
        if not self._file.closed:
            with writing(self.path.parent):
                os.fsync(self._file.fileno())
                self._file.close()


def read_spool(path: Path) -> Iterator[Page]:
    """The pages of the valid prefix, one at a time; none if the file is missing or empty."""
    if path.exists():
        for page, _ in _pages(path):
            yield page


@dataclass(frozen=True, slots=True)
class PageNote:
    """A page of the spool without its objects."""

    source: str
    window: Window
    cursor: str | None
    rows: int
    last: bool
    position: Position | None
    unwindowed: bool = False


def read_notes(path: Path) -> Iterator[PageNote]:
    """The pages of the valid prefix without their objects. Checksums are verified, objects are not decoded."""
    if path.exists():
        for header, _, _ in _frames(path):
            with _decoding(path):
                note = PageNote(
                    source=header["source"],
                    window=Window(header["since"], header["until"]),
                    cursor=header["cursor"],
                    rows=header["rows"],
                    last=header["last"],
                    position=_position(header),
                    unwindowed=header.get("unwindowed", False),
                )
            yield note


def has_pages(path: Path) -> bool:
    """Whether the file has any content after its magic number, valid or not."""
    return path.exists() and path.stat().st_size > len(_MAGIC)


def _frame(page: Page) -> bytes:
    try:
        plain, exact = orjson.dumps(page.objects), {}
    except TypeError:  # integers beyond 64 bits, or deep nesting
        plain, exact = encoded(page.objects).encode(), {"exact": True}
    body: bytes = _CODEC.compress(plain, asbytes=True)
    header = orjson.dumps(
        {
            "source": page.source,
            "since": page.window.since,
            "until": page.window.until,
            "cursor": page.cursor,
            "last": page.last,
            "position": page.position,
            "date": page.date,
            **({"parents": page.parents} if page.parents else {}),
            **({"whole": True} if page.whole else {}),
            **({"unwindowed": True} if page.unwindowed else {}),
            **exact,
            "rows": len(page.objects),
            "bytes": len(plain),
        }
    )
    lengths = _LENGTHS.pack(len(header), len(body))
    checksum = _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(header, zlib.crc32(lengths))))
    return b"".join((lengths, checksum, header, body))


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _is_spool(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start and not _MAGIC.startswith(start):
        hint = "Remove the archive and run the report again."
        raise RunError(f"{path} is not a spool of this version", hint=hint, code=NOT_A_SPOOL)
    return start == _MAGIC


def _pages(path: Path) -> Iterator[tuple[Page, int]]:
    """Each page of the valid prefix with the offset of the end of its frame."""
    for header, body, end in _frames(path):
        with _decoding(path):
            page = _page(header, body)
        yield page, end


def _frames(path: Path) -> Iterator[tuple[dict[str, Any], bytes, int]]:
    """The header, the stored body and the end offset of each frame of the valid prefix."""
    if not _is_spool(path):
        return
    left = path.stat().st_size - len(_MAGIC)
    with path.open("rb") as file:
        file.seek(len(_MAGIC))
        while left >= _PREFIX:
            lengths, checksum = file.read(_LENGTHS.size), file.read(_CHECKSUM.size)
            header_length, body_length = _LENGTHS.unpack(lengths)
            left -= _PREFIX + header_length + body_length
            if left < 0:
                return
            header, body = file.read(header_length), file.read(body_length)
            if _CHECKSUM.unpack(checksum)[0] != zlib.crc32(body, zlib.crc32(header, zlib.crc32(lengths))):
                return
            with _decoding(path):
                decoded = orjson.loads(header)
                _check_types(decoded, _HEADER)
            yield decoded, body, file.tell()


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Converts errors of a frame that is not a page to RunError. Its checksum is valid, so another program wrote it."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError, OSError) as error:
        raise RunError(
            f"{path} contains a frame that is not a page: {type(error).__name__}: {error}",
            hint="Remove the archive and run the report again.",
            code=DAMAGED_SPOOL,
        ) from error


def _check_types(found: Any, types: Mapping[str, tuple[type, ...]]) -> None:
    """Raises TypeError for a value with a wrong type, and KeyError for a missing value."""
    if type(found) is not dict:
        raise TypeError(f"{found!r} is not an object")
    for name, allowed in types.items():
        if type(found[name]) not in allowed:
            raise TypeError(f"{name} is {found[name]!r}")


def _page(header: dict[str, Any], body: bytes) -> Page:
    if not 0 <= header["bytes"] <= _MOST_BYTES:
        raise ValueError(f"a page of {header['bytes']:,} bytes")
    objects = orjson.loads(_CODEC.decompress(body, decompressed_size=header["bytes"], asbytes=True))
    if type(objects) is not list or set(map(type, objects)) - {dict}:
        raise TypeError("its body is not a list of objects")
    plain = _CODEC.decompress(body, decompressed_size=header["bytes"], asbytes=True)
    objects = _exact(plain) if header.get("exact") else orjson.loads(plain)
    return Page(
        source=header["source"],
        window=Window(header["since"], header["until"]),
        cursor=header["cursor"],
        objects=objects,
        last=header["last"],
        position=_position(header),
        date=header["date"],
        parents=tuple(header.get("parents", ())),
        whole=header.get("whole", False),
        unwindowed=header.get("unwindowed", False),
    )


def _exact(plain: bytes) -> Any:
    """The objects with all digits: orjson converts integers beyond 64 bits to floats; `json` supports less nesting."""
    try:
        return json.loads(plain)
    except RecursionError:
        objects = orjson.loads(plain)
        if encoded(objects).encode() != plain:
            raise RunError("a page of the spool is nested too deeply", hint="Run the report again.") from None
        return objects


def _position(header: dict[str, Any]) -> Position | None:
    if header["position"] is None:
        return None
    _check_types(header["position"], _POSITION)
    return Position(**header["position"])
