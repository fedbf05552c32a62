"""JSON bodies with every digit, and with values that JSON text in UTF-8 cannot hold in an escaped form.

orjson turns integers beyond 64 bits into floats and refuses lone surrogates, invalid UTF-8 and numbers that are not
finite. Bodies that need it are parsed by the slower `json`; all others are only looked over for long runs of digits.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

from counterfoil.values import escaped

#: Bodies up to this size are searched by a regular expression: that needs no Arrow.
_SMALL_BYTES = 16_384
#: The shortest integer beyond 64 bits has so many digits.
_LONG = re.compile(rb"[0-9]{19}")
#: The same where it can be a number: not in the middle of a text.
_LONG_NUMBER = re.compile(rb"[\s:,\[-][0-9]{19}")
#: Python refuses to read longer ones by default.
_MOST_DIGITS = 4_000


class IllegibleIdentifierError(ValueError):
    """An identifier is not text in UTF-8: to alter it could confuse two objects."""


class TooDeepError(ValueError):
    """Objects are nested deeper than the parser goes."""


def parsed(body: bytes) -> Any:
    """The value; ValueError when it is not whole JSON."""
    if not _has_long_number(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return _read(body)
    except RecursionError as error:
        raise TooDeepError("the JSON is nested too deep") from error


def _has_long_number(body: bytes) -> bool:
    if len(body) <= _SMALL_BYTES:
        return _LONG.search(body) is not None
    import pyarrow as pa
    import pyarrow.compute as pc

    # A run of 19 digits fills at least four aligned words of four bytes; that of a time fills two.
    words = pa.Array.from_buffers(pa.uint32(), len(body) // 4, [None, pa.py_buffer(body)])
    digits = pc.equal(pc.bit_wise_and(words, _scalar(0xF0F0F0F0)), _scalar(0x30303030))
    two = pc.and_(digits[:-1], digits[1:])
    four = pc.and_(two[:-2], two[2:])
    return four.true_count > 0 and any(
        _LONG_NUMBER.search(body, max(0, 4 * place - 8), 4 * place + 32)
        for place in pc.indices_nonzero(four).to_pylist()
    )


def _scalar(value: int) -> Any:
    import pyarrow as pa

    return pa.scalar(value, pa.uint32())


def _read(body: bytes) -> Any:
    text = body.decode("utf-8", "surrogateescape")
    return json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=escaped)


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= _MOST_DIGITS else escaped(digits)


def _float(digits: str) -> Any:
    value = float(digits)
    return value if math.isfinite(value) else escaped(digits)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, value in members:
        if name == "id" and isinstance(value, str) and not _is_text(value):
            raise IllegibleIdentifierError(f"the identifier {_plain(value)} is not text in UTF-8")
        found[name if _is_text(name) else _plain(name)] = _legible(value)
    return found


def _legible(value: Any) -> Any:
    """The value with each text that UTF-8 cannot hold escaped. Objects have been here already."""
    if isinstance(value, str):
        return value if _is_text(value) else escaped(_plain(value))
    if isinstance(value, list):
        return [_legible(one) for one in value]
    return value


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()
