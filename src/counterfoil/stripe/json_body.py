"""Parses JSON bodies exactly: integers keep every digit, and values that UTF-8 cannot represent are escaped.

orjson converts integers beyond 64 bits to floats, and rejects lone surrogates, invalid UTF-8 and numbers that are not
finite. The slower `json` parses such bodies; all others are only searched for long runs of digits.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

from counterfoil.values import escaped

#: Bodies up to this size are searched with a regular expression, without importing Arrow.
_SMALL_BYTES = 16_384
#: The number of digits of the shortest integer beyond 64 bits.
_LONG = re.compile(rb"[0-9]{19}")
#: The same in the position of a number, not inside a string.
_LONG_NUMBER = re.compile(rb"[\s:,\[-][0-9]{19}")
#: By default, Python does not parse longer integers.
_MOST_DIGITS = 4_000


class IllegibleIdentifierError(ValueError):
    """An identifier is not valid UTF-8. Escaping it could make two objects look the same."""


class TooDeepError(ValueError):
    """The JSON is nested more deeply than the parser supports."""


def parsed(body: bytes) -> Any:
    """The parsed value; ValueError if the body is not complete JSON."""
    if not _has_long_number(body):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        return _read(body)
    except RecursionError as error:
        raise TooDeepError("the JSON is nested too deeply") from error


def _has_long_number(body: bytes) -> bool:
    if len(body) <= _SMALL_BYTES:
        return _LONG.search(body) is not None
    import pyarrow as pa
    import pyarrow.compute as pc

    # A run of 19 digits fills at least four aligned words of four bytes; a Unix time fills only two.
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
            raise IllegibleIdentifierError(f"the identifier {_plain(value)} is not valid UTF-8")
        found[name if _is_text(name) else _plain(name)] = _legible(value)
    return found


def _legible(value: Any) -> Any:
    """The value with each string escaped that UTF-8 cannot represent. Nested objects were processed before."""
    if isinstance(value, str):
        return value if _is_text(value) else escaped(_plain(value))
    if isinstance(value, list):
        return [_legible(one) for one in value]
    return value


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()
