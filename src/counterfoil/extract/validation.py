"""Validates responses, lists and single objects, against their request.

A well-formed response can still be wrong: a cache or a proxy can return the response to another request, or an old one.
A response that deviates from its request is requested again. Three responses with the same deviation mean that Stripe
differs from our expectations, and the caller decides. Responses that differ from one another fail the run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from counterfoil.errors import StripeUnavailable
from counterfoil.logging import get_logger
from counterfoil.stripe.responses import Answer
from counterfoil.values import Window

#: Requests for one page before its deviation is accepted as Stripe's behaviour.
TRIES = 3

Code = Literal[
    "not_a_list",
    "wrong_url",
    "no_identifier",
    "unconfirmed_subscription",
    "wrong_object",
    "too_many_rows",
    "empty_page",
    "not_contiguous",
    "contradiction",
    "repeated_identifier",
    "no_time",
    "not_descending",
    "outside_window",
    "outside_filter",
    "short_page",
    "wrong_identifier",
    "invalid_embedded_list",
]

#: The error code if a response shows that an earlier response was wrong after its rows were used.
CONTRADICTION = "contradiction"

#: Stripe does not order or filter the list by time as documented. Such a list can be read without windows.
TIME_CODES: frozenset[Code] = frozenset({"repeated_identifier", "no_time", "not_descending", "outside_window"})
#: Harmless if every response has the deviation.
TOLERABLE_CODES: frozenset[Code] = frozenset({"wrong_url", "short_page"})

#: Filters with a value that each row repeats in the field of the same name. No object has the status `all` or `ended`.
_FILTERS = frozenset({"charge", "currency", "customer", "invoice", "status", "subscription", "type"})
_NOT_A_STATUS = frozenset({"all", "ended"})

_log = get_logger("counterfoil.extract")


@dataclass(frozen=True, slots=True)
class Deviation:
    """The difference between a response and its request."""

    code: Code
    #: A readable description with the values.
    detail: str
    #: The identifiers in the response, used to compare two deviations.
    identifiers: frozenset[str] = frozenset()

    def same_as(self, other: Deviation) -> bool:
        """Whether both responses have the same deviation: the same code and mostly the same rows.

        Short pages must have exactly the same rows: a row that only one of them contains was lost in transit.
        """
        if self.code == "short_page":
            return self.code == other.code and self.identifiers == other.identifiers
        fewest = min(len(self.identifiers), len(other.identifiers))
        return self.code == other.code and 2 * len(self.identifiers & other.identifiers) >= fewest


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a page must contain, according to its request."""

    path: str
    limit: int
    #: The allowed values of each row's `object`; empty if unknown.
    objects: frozenset[str] = frozenset()
    #: The field that the `created` filter compares; None if the list is not read by time.
    created: str | None = None
    #: The requested window.
    window: Window = field(default_factory=Window)
    #: The row that must be first: the last row of the page before.
    first: str | None = None
    #: The maximum time of the rows: the oldest time on the page before.
    newest: int | None = None
    #: Identifiers that must not appear again.
    seen: Container[str] = ()
    #: Fields of each row with their allowed values.
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Deviations that every response of this list has.
    tolerated: Collection[Code] = ()


def filters_of(params: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The fields of each row that the parameters determine, with their allowed values."""
    fixed = {name: frozenset({str(value)}) for name, value in params.items() if name in _FILTERS and "*" not in value}
    if fixed.get("status", frozenset()) & _NOT_A_STATUS:
        del fixed["status"]
    if types := params.get("types"):
        fixed["type"] = frozenset(types)
    return fixed


def check_page(body: Mapping[str, Any], expected: Expected) -> Deviation | None:
    """The first deviation of a page of a list; None if there is none."""
    rows, has_more = body.get("data"), body.get("has_more")
    if (
        body.get("object") != "list"
        or type(rows) is not list
        or type(has_more) is not bool
        or not set(map(type, rows)) <= {dict}
    ):
        return Deviation("not_a_list", "the response is not a list of objects with has_more")
    ids = [row.get("id") for row in rows]
    if not set(map(type, ids)) <= {str} or "" in ids:
        wrong = next(one for one in ids if type(one) is not str or not one)
        return Deviation("no_identifier", f"a row has the identifier {wrong!r}")
    for check in _CHECKS:
        found = check(body, ids, expected)
        if found is not None and found[0] not in expected.tolerated:
            return Deviation(*found, frozenset(ids))
    return None


Found = tuple[Code, str] | None


def _objects(body: Mapping[str, Any], _ids: Sequence[str], expected: Expected) -> Found:
    if not expected.objects:
        return None
    for row in body["data"]:
        if type(kind := row.get("object")) is not str or kind not in expected.objects:
            return "wrong_object", f"{row['id']} is a {kind!r}, not a {' or a '.join(sorted(expected.objects))}"
    return None


def _count(body: Mapping[str, Any], ids: Sequence[str], expected: Expected) -> Found:
    if len(ids) > expected.limit:
        return "too_many_rows", f"{len(ids)} rows where at most {expected.limit} were requested"
    if body["has_more"] and len(ids) <= (expected.first is not None):
        return "empty_page", "the page has no new row, but has_more is true"
    return None


def _identifiers(_body: Mapping[str, Any], ids: Sequence[str], expected: Expected) -> Found:
    if len(set(ids)) < len(ids):
        return "repeated_identifier", f"{next(one for one in ids if ids.count(one) > 1)} appears twice"
    if expected.first is not None and (not ids or ids[0] != expected.first):
        found = ids[0] if ids else "nothing"
        return "not_contiguous", f"the page begins with {found}, not with {expected.first}, the last row before it"
    if expected.seen and (again := [one for one in ids if one in expected.seen and one != expected.first]):
        return "repeated_identifier", f"{again[0]} was on an earlier page"
    return None


def _filters(body: Mapping[str, Any], _ids: Sequence[str], expected: Expected) -> Found:
    for name, values in expected.filters.items():
        for row in body["data"]:
            if type(value := row.get(name)) is str and value not in values:
                return "outside_filter", f"{row['id']} has {name} {value!r}, not {', '.join(sorted(values))}"
    return None


def _times(body: Mapping[str, Any], ids: Sequence[str], expected: Expected) -> Found:
    name, rows, window = expected.created, body["data"], expected.window
    if name is None or not rows:
        return None
    times = [row.get(name) for row in rows]
    if not set(map(type, times)) <= {int}:
        wrong = next(row for row in rows if type(row.get(name)) is not int)
        return "no_time", f"{wrong['id']} has the {name} {wrong.get(name)!r}"
    newest, oldest = times[0], times[-1]
    if expected.first is not None and newest != expected.newest:
        return "contradiction", f"{expected.first} has {name} {newest}, but had {expected.newest} on the page before"
    if times != sorted(times, reverse=True) or (expected.newest is not None and newest > expected.newest):
        return "not_descending", f"the rows from {ids[0]} to {ids[-1]} are not newest first"
    if (window.until is not None and newest >= window.until) or (window.since is not None and oldest < window.since):
        requested = f"{window.since} to {window.until} was requested"
        return "outside_window", f"{name} is from {oldest} to {newest}, but {requested}"
    return None


def _list(body: Mapping[str, Any], ids: Sequence[str], expected: Expected) -> Found:
    url = body.get("url")
    if type(url) is str and url.partition("?")[0] != expected.path and "wrong_url" not in expected.tolerated:
        return "wrong_url", f"the list's url is {url.partition('?')[0]!r}"
    if body["has_more"] and len(ids) < expected.limit:
        return "short_page", f"{len(ids)} rows of {expected.limit}, although has_more is true"
    return None


#: The first check that finds a deviation reports it.
_CHECKS: tuple[Callable[[Mapping[str, Any], Sequence[str], Expected], Found], ...] = (
    _objects,
    _count,
    _identifiers,
    _filters,
    _times,
    _list,
)


def check_object(
    body: Mapping[str, Any],
    *,
    object: str,  # noqa: A002 - Stripe's name of the field
    id: str | None = None,  # noqa: A002
    created: str | None = None,
) -> Deviation | None:
    """The deviation of a single object from its request, or None; `object` is empty if unknown.

    `created` is the field that must contain its creation time.
    """
    found = body.get("id")
    if id is not None and found != id:
        return Deviation("wrong_identifier", f"it is {found!r}, not {id}", _as_ids(found))
    if found is not None and (type(found) is not str or not found):
        return Deviation("no_identifier", f"its identifier is {found!r}")
    if object and body.get("object") != object:
        return Deviation("wrong_object", f"it is a {body.get('object')!r}, not a {object}", _as_ids(found))
    if created is not None and type(body.get(created)) is not int:
        return Deviation("no_time", f"it has the {created} {body.get(created)!r}", _as_ids(found))
    return None


def _as_ids(found: object) -> frozenset[str]:
    return frozenset({found} if isinstance(found, str) else ())


async def ask(
    get: Callable[[], Awaitable[Answer]], check: Callable[[Mapping[str, Any]], Deviation | None], *, request: str
) -> tuple[Answer, Deviation | None]:
    """The first response without a deviation; after three with the same deviation, the last one with its deviation.

    StripeUnavailable if the deviations differ. `request` is the name of the request in messages.
    """
    deviations: list[Deviation] = []
    while True:
        answer = await get()
        deviation = check(answer.body)
        if deviation is None:
            return answer, None
        _log.debug("invalid response", request=request, deviation=deviation.code, request_id=answer.request_id)
        deviations.append(deviation)
        if len(deviations) < TRIES:
            continue
        if all(deviation.same_as(one) for one in deviations):
            return answer, deviation
        raise invalid(request, deviation, request_id=answer.request_id, differ=True)


async def ask_strictly(
    get: Callable[[], Awaitable[Answer]], check: Callable[[Mapping[str, Any]], Deviation | None], *, request: str
) -> Answer:
    """The first response without a deviation; StripeUnavailable after three responses with one."""
    answer, deviation = await ask(get, check, request=request)
    if deviation is not None:
        raise invalid(request, deviation, request_id=answer.request_id)
    return answer


def request_name(path: str, params: Mapping[str, Any]) -> str:
    """The name of the request in messages: its path and its scalar parameters."""
    bounds = [f"{name}={value}" for name, value in params.items() if not isinstance(value, list) and name != "limit"]
    return f"{path}?{'&'.join(bounds)}" if bounds else path


def invalid(request: str, deviation: Deviation, *, request_id: str | None, differ: bool = False) -> StripeUnavailable:
    """The error for a request with only invalid responses."""
    how = f"{TRIES} invalid responses that differ from one another" if differ else f"{TRIES} invalid responses"
    return StripeUnavailable(
        f"{how} to {request}; the last: {deviation.detail}",
        hint="Check whether a proxy or a cache between here and Stripe changes responses, and run it again later.",
        code=CONTRADICTION if deviation.code == "contradiction" else "invalid_answer",
        request_id=request_id,
        path=request.partition("?")[0],
    )
