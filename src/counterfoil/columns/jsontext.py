"""Decoded JSON as JSON text, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson


def encoded(value: Any) -> str:
    """Compact JSON. Lone surrogates are escaped, integers keep all digits, depth has no limit."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return "".join(_pieces(value))


def _pieces(value: Any) -> Iterator[str]:
    """Without recursion, since a hostile object may be deeper than the stack."""
    stack: list[Iterator[Any]] = [iter((value,))]
    while stack:
        for item in stack[-1]:
            if isinstance(item, _Text):
                yield item
            elif isinstance(item, dict):
                stack.append(_members(item))
                break
            elif isinstance(item, list):
                stack.append(_elements(item))
                break
            else:
                yield json.dumps(item)
        else:
            stack.pop()


class _Text(str):
    """A piece that is JSON already."""

    __slots__ = ()


def _members(item: dict[str, Any]) -> Iterator[Any]:
    before = "{"
    for key, value in item.items():
        yield _Text(f"{before}{json.dumps(key)}:")
        yield value
        before = ","
    yield _Text("}" if item else "{}")


def _elements(item: list[Any]) -> Iterator[Any]:
    before = "["
    for value in item:
        yield _Text(before)
        yield value
        before = ","
    yield _Text("]" if item else "[]")
