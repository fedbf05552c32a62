"""Encodes decoded JSON as JSON text, including values that orjson does not support."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import orjson


def encoded(value: Any) -> str:
    """Compact JSON text. Lone surrogates are escaped, integers keep all digits, and nesting is unlimited."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return "".join(_pieces(value))


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values, regardless of the order of their keys."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        return "".join(_pieces(value, by_key=True))


def _pieces(value: Any, *, by_key: bool = False) -> Iterator[str]:
    """Pieces of JSON text, without recursion, because a hostile object can be deeper than the stack."""
    stack: list[Iterator[Any]] = [iter((value,))]
    while stack:
        for item in stack[-1]:
            if isinstance(item, _Text):
                yield item
            elif isinstance(item, dict):
                stack.append(_members(sorted(item.items()) if by_key else item.items()))
                break
            elif isinstance(item, list):
                stack.append(_elements(item))
                break
            else:
                yield json.dumps(item)
        else:
            stack.pop()


class _Text(str):
    """A piece that is already JSON text."""

    __slots__ = ()


def _members(items: Collection[tuple[str, Any]]) -> Iterator[Any]:
    before = "{"
    for key, value in items:
        yield _Text(f"{before}{json.dumps(key)}:")
        yield value
        before = ","
    yield _Text("}" if items else "{}")


def _elements(item: list[Any]) -> Iterator[Any]:
    before = "["
    for value in item:
        yield _Text(before)
        yield value
        before = ","
    yield _Text("]" if item else "[]")
