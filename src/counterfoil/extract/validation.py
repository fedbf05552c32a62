"""Whether an answer can be true: a page of a list, or a single object, compared with the request it answers.

A well-formed answer can still be wrong: a cache or a proxy can return the answer to another request, or an old one. An
answer that deviates is requested again. Three answers that deviate in the same way show that Stripe differs from what
we expect, and the caller decides; answers that differ from one another fail the run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from counterfoil.errors import StripeUnavailable
from counterfoil.logging import get_logger
from counterfoil.stripe.responses import Answer
from counterfoil.values import Window

#: Requests for one page before its deviation is believed.
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

#: Of the error when an answer shows that an earlier one, whose rows were taken, was wrong.
CONTRADICTION = "contradiction"

#: The list is not ordered or filtered by time as Stripe documents: it can be read without windows.
TIME_CODES: frozenset[Code] = frozenset({"repeated_identifier", "no_time", "not_descending", "outside_window"})
#: Harmless when every answer is like that.
TOLERABLE_CODES: frozenset[Code] = frozenset({"wrong_url", "short_page"})

#: Filters whose value each row repeats in the field of the same name; `all` and `ended` are no status of an object.
_FILTERS = frozenset({"charge", "currency", "customer", "invoice", "status", "subscription", "type"})
_NOT_A_STATUS = frozenset({"all", "ended"})

_log = get_logger("counterfoil.extract")


@dataclass(frozen=True, slots=True)
class Deviation:
    """What is wrong with an answer."""

    code: Code
    #: For a person, with the values.
    detail: str
    #: The identifiers in the answer, by which two deviations are compared.
    identifiers: frozenset[str] = frozenset()

    def same_as(self, other: Deviation) -> bool:
        """Whether both answers deviate alike: the same code, and for the most part the same rows.

        Short pages have exactly the same rows: a row that one of them omits was lost on the way.
        """
        if self.code == "short_page":
            return self.code == other.code and self.identifiers == other.identifiers
        fewest = min(len(self.identifiers), len(other.identifiers))
        return self.code == other.code and 2 * len(self.identifiers & other.identifiers) >= fewest


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a page must be like, given the request that was sent."""

    path: str
    limit: int
    #: What Stripe's `object` of each row may be; empty where it is not known.
    objects: frozenset[str] = frozenset()
    #: The field that the `created` filter compares; None where the list is not read by time.
    created: str | None = None
    #: The window that was sent.
    window: Window = field(default_factory=Window)
    #: The row that must come first: the last one of the page before.
    first: str | None = None
    #: No row is newer: the oldest time on the page before.
    newest: int | None = None
    #: Identifiers that must not come again.
    seen: Container[str] = ()
    #: The field of each row that must have one of these values.
    filters: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Deviations that every answer of this list has.
    tolerated: Collection[Code] = ()


def filters_of(params: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The fields of each row that the parameters fix, with the values they may have."""
    fixed = {name: frozenset({str(value)}) for name, value in params.items() if name in _FILTERS and "*" not in value}
    if fixed.get("status", frozenset()) & _NOT_A_STATUS:
        del fixed["status"]
    if types := params.get("types"):
        fixed["type"] = frozenset(types)
    return fixed


def check_page(body: Mapping[str, Any], expected: Expected) -> Deviation | None:
    """The first deviation of a page of a list; None when there is none."""
    rows, has_more = body.get("data"), body.get("has_more")
    if (
        body.get("object") != "list"
        or type(rows) is not list
        or type(has_more) is not bool
        or not set(map(type, rows)) <= {dict}
    ):
        return Deviation("not_a_list", "it is not a list of objects with has_more")
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
        return "empty_page", "it has no row that was not listed before, and has_more is true"
    return None


def _identifiers(_body: Mapping[str, Any], ids: Sequence[str], expected: Expected) -> Found:
    if len(set(ids)) < len(ids):
        return "repeated_identifier", f"{next(one for one in ids if ids.count(one) > 1)} comes twice"
    if expected.first is not None and (not ids or ids[0] != expected.first):
        found = ids[0] if ids else "nothing"
        return "not_contiguous", f"it begins with {found}, not with {expected.first}, the last row of the page before"
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
        return "contradiction", f"{expected.first} has {name} {newest}; on the page before it was {expected.newest}"
    if times != sorted(times, reverse=True) or (expected.newest is not None and newest > expected.newest):
        return "not_descending", f"the rows from {ids[0]} to {ids[-1]} are not newest first"
    if (window.until is not None and newest >= window.until) or (window.since is not None and oldest < window.since):
        requested = f"{window.since} to {window.until} was requested"
        return "outside_window", f"{name} from {oldest} to {newest}, where {requested}"
    return None


def _list(body: Mapping[str, Any], ids: Sequence[str], expected: Expected) -> Found:
    url = body.get("url")
    if type(url) is str and url.partition("?")[0] != expected.path and "wrong_url" not in expected.tolerated:
        return "wrong_url", f"it says that it is {url.partition('?')[0]!r}"
    if body["has_more"] and len(ids) < expected.limit:
        return "short_page", f"{len(ids)} rows of {expected.limit}, although has_more is true"
    return None


#: In the order in which a deviation is reported.
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
    object: str,  # noqa: A002 - Stripe's own words
    id: str | None = None,  # noqa: A002
    created: str | None = None,
) -> Deviation | None:
    """The deviation of a single object from the one that was requested; `object` empty where it is not known.

    `created` is the field that must hold its time of creation.
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
    """The first answer without a deviation; after three that deviate alike, the last with its deviation.

    StripeUnavailable when the answers deviate in different ways. `request` names it for a person.
    """
    deviations: list[Deviation] = []
    while True:
        answer = await get()
        deviation = check(answer.body)
        if deviation is None:
            return answer, None
        _log.debug("invalid answer", request=request, deviation=deviation.code, request_id=answer.request_id)
        deviations.append(deviation)
        if len(deviations) < TRIES:
            continue
        if all(deviation.same_as(one) for one in deviations):
            return answer, deviation
        raise invalid(request, deviation, request_id=answer.request_id, differ=True)


async def ask_strictly(
    get: Callable[[], Awaitable[Answer]], check: Callable[[Mapping[str, Any]], Deviation | None], *, request: str
) -> Answer:
    """The first answer without a deviation; StripeUnavailable after three with one."""
    answer, deviation = await ask(get, check, request=request)
    if deviation is not None:
        raise invalid(request, deviation, request_id=answer.request_id)
    return answer


def request_name(path: str, params: Mapping[str, Any]) -> str:
    """The request for a person: its path and what bounds it."""
    bounds = [f"{name}={value}" for name, value in params.items() if not isinstance(value, list) and name != "limit"]
    return f"{path}?{'&'.join(bounds)}" if bounds else path


def invalid(request: str, deviation: Deviation, *, request_id: str | None, differ: bool = False) -> StripeUnavailable:
    """The error of a request whose answers can't be true."""
    how = f"{TRIES} invalid answers that differ from one another" if differ else f"{TRIES} invalid answers"
    return StripeUnavailable(
        f"{how} to {request}; the last: {deviation.detail}",
        hint="Something between here and Stripe may change answers (a proxy, a cache). Run it again later.",
        code=CONTRADICTION if deviation.code == "contradiction" else "invalid_answer",
        request_id=request_id,
        path=request.partition("?")[0],
    )
