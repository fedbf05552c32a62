"""The spool: every page of a run, one frame each, in the order of arrival.

A frame is three little-endian numbers (length of the header, length of the body, CRC-32 of both lengths, header and
body), the header as JSON, and the body: the page's objects as JSON, compressed. A file is valid up to its first frame
that is cut short or fails its checksum; what follows that frame is never looked at.
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
#: The code of the error about a frame that is not a page.
DAMAGED_SPOOL = "damaged_spool"
#: A page has at most a hundred objects; one that claims more than this is not decompressed.
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
#: Level 1 costs 1.6 us an object where lz4 costs 1.2, and leaves half of its bytes.
_CODEC = pa.Codec("zstd", compression_level=1)


class Spool:
    """Appends pages to one file, one writer at a time. An existing file is cut to its valid prefix and gone on with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: What the pages cover, kept while they are appended.
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
        """Keeps the page: it outlives the process when this returns, and a power cut once `close` returned."""
        frame = _frame(page)
        with writing(self.path.parent):
            try:
                _write_all(self._file, frame)
            except OSError:
                # Half a frame would hide every later one from the reader.
                self._file.truncate(self._end)
                self._file.seek(self._end)
                raise
        self._end += len(frame)
        self.ledger.add(page)

    def empty(self) -> None:
        """Drops every page."""
        self._end = len(_MAGIC)
        with writing(self.path.parent):
            self._file.truncate(self._end)
            self._file.seek(self._end)
        self.ledger = Ledger()

    def close(self) -> None:
        """Makes the file last through a power cut; a second call does nothing."""
        if not self._file.closed:
            with writing(self.path.parent):
                os.fsync(self._file.fileno())
                self._file.close()


def read_spool(path: Path) -> Iterator[Page]:
    """The pages of the valid prefix, one at a time; none for a file that is missing or empty."""
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
    """The pages of the valid prefix, whose checksums are compared and whose objects are not looked at."""
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
    """Whether the file holds more than its own mark, be it valid or not."""
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
        raise RunError(f"{path} is not a spool of this version", hint="Remove the run's archive and start it again.")
    return start == _MAGIC


def _pages(path: Path) -> Iterator[tuple[Page, int]]:
    """Each page of the valid prefix with the offset behind its frame."""
    for header, body, end in _frames(path):
        with _decoding(path):
            page = _page(header, body)
        yield page, end


def _frames(path: Path) -> Iterator[tuple[dict[str, Any], bytes, int]]:
    """Header, body as it is stored, and the offset behind it, of each frame of the valid prefix."""
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
    """Turns what a frame that is no page raises into RunError: its checksum holds, and another program wrote it."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError, OSError) as error:
        raise RunError(
            f"{path} holds a frame that is not a page: {type(error).__name__}: {error}",
            hint="Remove the run's archive and start it again.",
            code=DAMAGED_SPOOL,
        ) from error


def _check_types(found: Any, types: Mapping[str, tuple[type, ...]]) -> None:
    """TypeError for a value that is not of one of its types; KeyError for one that is missing."""
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
    """The objects with every digit: orjson turns integers beyond 64 bits into floats, and `json` goes less deep."""
    try:
        return json.loads(plain)
    except RecursionError:
        objects = orjson.loads(plain)
        if encoded(objects).encode() != plain:
            raise RunError("A page of the spool is nested too deep", hint="Start the run again.") from None
        return objects


def _position(header: dict[str, Any]) -> Position | None:
    if header["position"] is None:
        return None
    _check_types(header["position"], _POSITION)
    return Position(**header["position"])
