"""Query strings and form bodies in Stripe's bracket notation."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from stripe_sandbox.wire.errors import bad_parameter

_PART = re.compile(r"\[([^\]]*)\]")
#: Parameters that every list accepts.
LISTING = frozenset({"limit", "starting_after", "ending_before", "expand"})
BOUNDS = ("gt", "gte", "lt", "lte")


def parsed(text: str) -> dict[str, Any]:
    """`a[b]=1` as {"a": {"b": "1"}}, `a[]=1` and `a[0]=1` as {"a": ["1"]}."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        head = key.split("[", 1)[0]
        node, name = tree, head
        for part in _PART.findall(key[len(head) :]):
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise bad_parameter(f"Invalid object: {head}", head)
            name = part or str(len(node))
        node[name] = value
    return {key: _listed(value) for key, value in tree.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(child) for key, child in value.items()}


def refuse_unknown(given: dict[str, Any], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise bad_parameter(f"Received unknown parameter: {name}", name, "parameter_unknown")


def integer(text: Any, param: str) -> int:
    try:
        return int(text)
    except (TypeError, ValueError):
        raise bad_parameter(f"Invalid integer: {text}", param, "parameter_invalid_integer") from None


def boolean(text: Any, param: str) -> bool:
    if text not in ("true", "false"):
        raise bad_parameter(f"Invalid boolean: {text}", param)
    return bool(text == "true")


@dataclass(frozen=True, slots=True)
class Range:
    """Inclusive bounds; None is unbounded."""

    low: int | None = None
    high: int | None = None

    def __contains__(self, value: int | None) -> bool:
        if value is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def range_of(value: Any, param: str) -> Range:
    """Parses an integer, or any of gt, gte, lt and lte."""
    if not isinstance(value, dict):
        exact = integer(value, param)
        return Range(exact, exact)
    low: int | None = None
    high: int | None = None
    for bound, text in value.items():
        if bound not in BOUNDS:
            raise bad_parameter(
                f"Received unknown parameter: {param}[{bound}]", f"{param}[{bound}]", "parameter_unknown"
            )
        at = integer(text, f"{param}[{bound}]")
        if bound.startswith("g"):
            at += bound == "gt"
            low = at if low is None else max(low, at)
        else:
            at -= bound == "lt"
            high = at if high is None else min(high, at)
    return Range(low, high)


def limit_of(given: dict[str, Any]) -> int:
    limit = integer(given.get("limit", "10"), "limit")
    if limit > 100:
        raise bad_parameter(f"This value must be less than or equal to 100 (it currently is '{limit}').", "limit")
    if limit < 1:
        raise bad_parameter(f"This value must be greater than or equal to 1 (it currently is '{limit}').", "limit")
    return limit


def expand_of(given: dict[str, Any]) -> list[list[str]]:
    paths = given.get("expand", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise bad_parameter("Invalid array", "expand")
    split = [path.split(".") for path in paths]
    for path in split:
        if len(path) > 4:
            raise bad_parameter(
                f"You cannot expand more than 4 levels of a property. Property: {'.'.join(path)}", "expand"
            )
    return split
