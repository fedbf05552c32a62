"""The spool returns the appended pages, and from a damaged file exactly the frames before the damage."""

from __future__ import annotations

import json
import resource
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from counterfoil.archive import Ledger, Spool, read_notes, read_spool
from counterfoil.errors import RunError
from counterfoil.values import Page, Position, Window

_PAGES = [
    Page("/v1/charges", Window(None, 2_000), None, [{"id": "ch_2", "amount": 1050}, {"id": "ch_1", "é": None}], False),
    Page("/v1/charges", Window(1_000, 2_000), "ch_1", [], True, Position("ch_0", 1_999, 1_000, 102)),
    Page("payouts", Window(), None, [{"id": "po_1", "metadata": {"big": 2**63 - 1}, "text": "\x00\U0001f600"}], True),
]


def _spool(path: Path, pages: list[Page]) -> list[int]:
    """Writes the pages; returns the end of each frame."""
    ends = []
    spool = Spool(path)
    for page in pages:
        spool.append(page)
        ends.append(path.stat().st_size)
    spool.close()
    return ends


def test_pages_are_read_back_unchanged(tmp_path: Path) -> None:
    _spool(tmp_path / "s", _PAGES)
    assert list(read_spool(tmp_path / "s")) == _PAGES


def test_integers_beyond_64_bits_and_deep_objects_are_read_back_unchanged(tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": [deep]}
    pages = [
        Page("x", Window(), None, [{"id": "ch_1", "n": 2**64, "list": [-(2**63) - 1, 10**40], "x": 1.5}], False),
        Page("x", Window(), None, [{"id": "ch_2", "deep": deep}, {"id": "ch_3", "n": 10**30}], True),
    ]
    _spool(tmp_path / "s", pages)
    assert list(read_spool(tmp_path / "s")) == pages


def test_a_page_can_be_read_before_the_spool_is_closed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    spool.append(_PAGES[0])
    assert list(read_spool(tmp_path / "s")) == _PAGES[:1]
    spool.close()


def test_a_missing_file_and_an_empty_file_have_no_pages(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert list(read_spool(tmp_path / "missing")) == []
    assert list(read_spool(tmp_path / "empty")) == []


def test_truncated_spool_keeps_its_complete_frames(tmp_path: Path) -> None:
    ends = _spool(tmp_path / "s", _PAGES)
    data = (tmp_path / "s").read_bytes()
    cut = tmp_path / "cut"
    for length in range(len(data) + 1):
        cut.write_bytes(data[:length])
        complete = sum(end <= length for end in ends)
        assert list(read_spool(cut)) == _PAGES[:complete], length


def test_spool_with_a_changed_byte_keeps_only_the_frames_before_it(tmp_path: Path) -> None:
    ends = _spool(tmp_path / "s", _PAGES)
    data = (tmp_path / "s").read_bytes()
    flipped = tmp_path / "flipped"
    for at in range(8, len(data)):
        flipped.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        assert list(read_spool(flipped)) == _PAGES[: sum(end <= at for end in ends)], at


def test_reopened_spool_continues_after_its_valid_prefix(tmp_path: Path) -> None:
    ends = _spool(tmp_path / "s", _PAGES)
    with (tmp_path / "s").open("r+b") as file:
        file.truncate(ends[1] + 5)
    again = Spool(tmp_path / "s")
    assert again.ledger.sources["/v1/charges"].pages == 2
    again.append(_PAGES[2])
    again.close()
    assert list(read_spool(tmp_path / "s")) == _PAGES


def test_another_file_is_rejected_and_unchanged(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("another file of the user")
    with pytest.raises(RunError) as caught:
        Spool(tmp_path / "s")
    assert caught.value.code == "not_a_spool"
    assert (tmp_path / "s").read_text() == "another file of the user"


def test_ledger_while_appending_equals_the_ledger_of_the_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    for page in _PAGES:
        spool.append(page)
    spool.close()
    assert spool.ledger == Ledger.of(read_spool(tmp_path / "s"))
    assert spool.ledger.sources["/v1/charges"].complete == [Window(1_000, 2_000)]
    assert spool.ledger.sources["/v1/charges"].rows == 2


def test_full_disk_is_reported_with_the_folder_and_earlier_pages_remain(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    spool.append(_PAGES[0])
    page = Page("p", Window(), None, [{"id": str(n), "text": f"{n * 7919:x}" * 9} for n in range(5_000)], True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        with pytest.raises(RunError) as caught:
            spool.append(page)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "archive_disk_full"
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint is not None
    spool.append(_PAGES[1])
    spool.close()
    assert list(read_spool(tmp_path / "s")) == _PAGES[:2]


_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_SECONDS = st.integers(0, 2**40)
_WINDOWS = (
    st.builds(Window, _SECONDS, st.none())
    | st.builds(Window, st.none(), _SECONDS)
    | st.builds(lambda since, length: Window(since, since + length), _SECONDS, _SECONDS)
)
_OBJECTS = st.lists(st.dictionaries(_TEXT, _JSON, max_size=4), max_size=4)


@given(st.lists(st.builds(Page, _TEXT, _WINDOWS, st.none() | _TEXT, _OBJECTS, st.booleans()), max_size=5))
def test_any_pages_are_read_back_unchanged(tmp_path_factory: pytest.TempPathFactory, pages: list[Page]) -> None:
    path = tmp_path_factory.mktemp("spool") / "s"
    _spool(path, pages)
    assert list(read_spool(path)) == pages


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_GOOD = {
    "source": "/v1/charges",
    "since": 1,
    "until": 2,
    "cursor": None,
    "last": True,
    "position": {"cursor": "a", "newest": 1, "oldest": 1, "listed": 1},
    "date": 0,
    "rows": 1,
    "bytes": 2,
}
_HEADERS = _JSON | st.builds(lambda name, value: {**_GOOD, name: value}, st.sampled_from(sorted(_GOOD)), _JSON)


@settings(deadline=None, max_examples=150)
@example(header={**_GOOD, "since": 3}, body=b"[]")
@example(header={**_GOOD, "bytes": 2**62}, body=b"[]")
@example(header={**_GOOD, "bytes": -1}, body=b"[]")
@example(header={**_GOOD, "position": {}}, body=b"[]")
@example(header=_GOOD, body=b"[1]")
@example(header=_GOOD, body=b"{}")
@given(header=_HEADERS, body=st.sampled_from([b"[]", b"[1]", b"{}", b"nonsense"]))
def test_frame_that_is_not_a_page_is_a_run_error(
    tmp_path_factory: pytest.TempPathFactory, header: Any, body: bytes
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "pages.spool"
    text = json.dumps(header).encode()
    packed = pa.Codec("zstd").compress(body, asbytes=True)
    lengths = struct.pack("<II", len(text), len(packed))
    checksum = struct.pack("<I", zlib.crc32(packed, zlib.crc32(text, zlib.crc32(lengths))))
    path.write_bytes(b"CFSPOOL2" + lengths + checksum + text + packed)
    for reading in (lambda: list(read_spool(path)), lambda: list(read_notes(path)), lambda: Spool(path).close()):
        with suppress(RunError):  # any other error fails the test
            reading()
