"""The filters of each list: how a parameter's value chooses among generated objects and among added ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from counterfoil.sandbox.objects.json import Json
from counterfoil.sandbox.wire.errors import StripeError, bad_parameter
from counterfoil.sandbox.wire.parameters import boolean, range_of

if TYPE_CHECKING:
    from counterfoil.sandbox.company.world import World

OfIndex = Callable[[int], bool]
OfObject = Callable[[Json], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """`by_index` reads the compact arrays; without it each object is rendered to be looked at."""

    by_object: Callable[[Any], OfObject]
    by_index: Callable[[World, Any], OfIndex] | None = None


def _never(_: int) -> bool:
    return False


def reference(field: str, family: str, column: Callable[[World], Sequence[int]]) -> Filter:
    """The id of another object."""

    def by_index(world: World, value: Any) -> OfIndex:
        index, wanted = world.ids[family].index(str(value)), column(world)
        return _never if index is None else (lambda n: wanted[n] == index)

    return Filter(lambda value: lambda one: one.get(field) == value, by_index)


def choice(field: str, values: Sequence[str], column: Callable[[World], Sequence[int]] | None = None) -> Filter:
    """One of Stripe's words; other words are refused."""

    def check(value: Any) -> None:
        if value not in values:
            words = ", ".join(values[:-1]) + f", or {values[-1]}"
            raise bad_parameter(f"Invalid {field}: must be one of {words}", field)

    def by_object(value: Any) -> OfObject:
        check(value)
        return lambda one: one.get(field) == value

    def by_index(world: World, value: Any) -> OfIndex:
        check(value)
        assert column is not None  # noqa: S101 - only given together with a column
        codes, wanted = column(world), {n for n, word in enumerate(values) if word == value}
        return lambda n: codes[n] in wanted

    return Filter(by_object, by_index if column is not None else None)


def equal(*path: str) -> Filter:
    """A field, however deep, that is exactly this."""

    def by_object(value: Any) -> OfObject:
        def matches(one: Json) -> bool:
            found: Any = one
            for name in path:
                found = found.get(name) if isinstance(found, dict) else None
            return bool(found == value)

        return matches

    return Filter(by_object)


def flag(field: str) -> Filter:
    def by_object(value: Any) -> OfObject:
        wanted = boolean(value, field)
        return lambda one: bool(one.get(field)) is wanted

    return Filter(by_object)


def pending(column: Callable[[World], Sequence[int]]) -> Filter:
    """Invoice items that no invoice has yet."""

    def by_index(world: World, value: Any) -> OfIndex:
        wanted, owners = boolean(value, "pending"), column(world)
        return lambda n: (owners[n] < 0) is wanted

    def by_object(value: Any) -> OfObject:
        wanted = boolean(value, "pending")
        return lambda one: (one["invoice"] is None) is wanted

    return Filter(by_object, by_index)


def between(*path: str) -> Filter:
    """A range of seconds in any of the values of a field."""

    def by_object(value: Any) -> OfObject:
        wanted = range_of(value, path[-1])
        return lambda one: any(found in wanted for found in _values(one, path))

    return Filter(by_object)


def _values(found: Any, path: Sequence[str]) -> list[Any]:
    if isinstance(found, list):
        return [value for one in found for value in _values(one, path)]
    if not path:
        return [found]
    return _values(found.get(path[0]), path[1:]) if isinstance(found, dict) else []


def any_of(field: str) -> Filter:
    """One of a list of values."""
    return Filter(lambda value: lambda one: one.get(field) in (value if isinstance(value, list) else [value]))


def refused(name: str) -> StripeError:
    return bad_parameter(f"Received unknown parameter: {name}", name, "parameter_unknown")
