"""Completes lists that Stripe embeds in an object and cuts after the first few entries.

How many come embedded is not stated; `has_more` is what counts, and the list's own `url` has the rest.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

from counterfoil.errors import RunError, StripeUnavailable
from counterfoil.extract.streams import gather
from counterfoil.extract.validation import (
    TOLERABLE_CODES,
    TRIES,
    Code,
    Deviation,
    Expected,
    ask,
    ask_strictly,
    check_object,
    check_page,
    filters_of,
    request_name,
)
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Listing
from counterfoil.stripe.client import Client
from counterfoil.stripe.responses import Answer
from counterfoil.values import StripeObject

_PAGE_ROWS = 100

#: How often a list is begun anew because the entry that it would go on after was deleted meanwhile.
_MOST_STARTS = 5
#: Lists of these have both.
_SOURCES = frozenset({"bank_account", "card"})
#: Path and query of an embedded list.
_URL = re.compile(r"(/v1(?:/[A-Za-z0-9_.~%:@!$&'()*+,;=-]+)+)(?:\?([^#\s]*))?")

#: The object once more, as it is now; None when it was deleted.
ReadAgain = Callable[[str], Awaitable[StripeObject | None]]


async def complete(
    client: Client,
    objects: Sequence[StripeObject],
    lists: Sequence[str],
    *,
    expand: Sequence[str],
    notices: Warnings,
    read_again: ReadAgain | None = None,
    optional: bool = False,
) -> frozenset[str]:
    """Appends in place what is missing of the named lists of each object; returns those that were deleted meanwhile.

    `expand` is that of the objects' own list. An object whose list Stripe does not show is read again: it may have been
    deleted. When it is there and its list is not, that is an error, but of an `optional` list, which stays cut, with a
    notice. StripeUnavailable when a list has entries without identifiers, or not as many as it says.
    """
    found = await gather(
        [
            _complete_one(client, one, name, expand, notices, read_again, optional)
            for name in lists
            for one in objects
            if not _is_whole(one.get(name)) and (name in one or read_again is not None)
        ]
    )
    return frozenset(id_ for id_ in found if id_ is not None)


def _is_whole(embedded: Any) -> bool:
    """Whether the list is as it should be and has nothing more."""
    return (
        isinstance(embedded, dict)
        and embedded.get("has_more") is False
        and _entries_problem(embedded.get("data")) is None
        and embedded.get("total_count") in (None, len(embedded["data"]))
    )


async def _complete_one(
    client: Client,
    one: StripeObject,
    name: str,
    expand: Sequence[str],
    notices: Warnings,
    read_again: ReadAgain | None,
    optional: bool,
) -> str | None:
    """The object's identifier when it was deleted."""
    identifier = one.get("id")
    problem: _CutError | None = None
    for _ in range(TRIES):
        try:
            if not isinstance(one.get(name), dict):
                raise _CutError("it is not there", absent=one.get(name) is None)
            await _Embedded(client, one[name], _expand_below(name, expand)).complete()
        except _CutError as error:
            problem = error
        else:
            return None
        if optional and problem.missing:
            break
        if read_again is None or not isinstance(identifier, str):
            continue
        again = await read_again(identifier)
        if again is None:
            return identifier
        if name in again:
            one[name] = again[name]
    if problem is not None:
        _report(problem, name, str(identifier), notices, optional)
    return None


def _report(problem: _CutError, name: str, identifier: str, notices: Warnings, optional: bool) -> None:
    """A notice where the object may do without its list; StripeUnavailable otherwise."""
    if problem.absent:
        notices.add(f"Stripe sends no {name} of these", of=identifier)
    elif optional and problem.missing:
        notices.add("Stripe shows no more of these embedded lists; `has_more` in them stays true", of=problem.path)
    else:
        raise StripeUnavailable(
            f"The {name} of {identifier} cannot be read to their end: {problem}",
            hint="Run it again later.",
            path=problem.path,
            code="invalid_answer",
        )


def _expand_below(name: str, expand: Sequence[str]) -> list[str]:
    """`data.lines.data.discounts` of the parents' list is `data.discounts` of the embedded one."""
    prefix = f"data.{name}."
    return [path.removeprefix(prefix) for path in expand if path.startswith(prefix)]


class _CutError(Exception):
    """An embedded list that cannot be completed, or contradicts itself."""

    def __init__(self, message: str, *, path: str = "", missing: bool = False, absent: bool = False) -> None:
        super().__init__(message)
        self.path = path
        #: The object has no such list.
        self.absent = absent
        #: Stripe answers 404 for the list.
        self.missing = missing


@dataclass(slots=True)
class _Embedded:
    """One embedded list."""

    client: Client
    embedded: dict[str, Any]
    expand: list[str]

    async def complete(self) -> None:
        """Puts all entries in place, or none that were not there."""
        entries, has_more = self.embedded.get("data"), self.embedded.get("has_more")
        problem = _entries_problem(entries)
        if problem or not isinstance(entries, list):
            raise _CutError(problem or "it has no entries")
        known = list(entries)
        # A list that does not say whether it goes on is asked for the rest.
        if has_more is not False:
            if not known and has_more is True:
                raise _CutError("it is empty, and has_more is true")
            known = await self._all(known)
        count = self.embedded.get("total_count")
        if type(count) is int and count != len(known):
            raise _CutError(f"it has {len(known):,} entries, and total_count is {count:,}")
        if has_more is not False:
            # In Stripe's order, so that the row is the same where `has_more` was missing.
            whole = {"object": "list", "data": known, "has_more": False}
            rest = {name: value for name, value in self.embedded.items() if name not in whole}
            self.embedded.clear()
            self.embedded.update(whole, **rest)

    async def _all(self, known: list[StripeObject]) -> list[StripeObject]:
        """The known entries and the rest."""
        url = self.embedded.get("url")
        parts = _URL.fullmatch(url) if isinstance(url, str) else None
        if parts is None or {".", ".."} & set(parts[1].split("/")):
            raise _CutError(f"its url {url!r} is no path of Stripe's API")
        path = parts[1]
        params: dict[str, Any] = {**dict(parse_qsl(parts[2] or "")), "limit": _PAGE_ROWS}
        if self.expand:
            params["expand"] = self.expand
        for _ in range(_MOST_STARTS):
            try:
                return await self._rest(path, params, known)
            except RunError as error:
                if error.code == "resource_missing" and error.param == "starting_after":
                    known = []
                    continue
                if error.status != 404:
                    raise
                # Of a list that does not say whether it goes on, nothing is known to be missing.
                goes_on = self.embedded.get("has_more") is True
                raise _CutError("Stripe does not show it", path=path, missing=goes_on) from error
            except _NotContiguous:
                known = []
        raise _CutError("entries are deleted faster than it can be read", path=path)

    async def _rest(self, path: str, params: dict[str, Any], known: Sequence[StripeObject]) -> list[StripeObject]:
        """The known entries and those after them. Each page begins with the last entry before it."""
        entries = list(known)
        seen = {one["id"] for one in entries}
        tolerated: set[Code] = set()
        filters = filters_of(params)
        more = True
        while more:
            cursor = entries[-1]["id"] if entries else None
            after = entries[-2]["id"] if len(entries) > 1 else cursor
            first = None if after == cursor else cursor
            sent = {**params, **({"starting_after": after} if after else {})}
            expected = Expected(
                path=path,
                limit=_PAGE_ROWS,
                objects=_kinds(self.embedded["data"]),
                first=first,
                seen=seen,
                filters=filters,
                tolerated=tolerated,
            )
            answer, deviation = await self._asked(path, sent, expected)
            if deviation is not None and deviation.code in TOLERABLE_CODES:
                tolerated.add(deviation.code)
                deviation = check_page(answer.body, expected)
            if deviation is not None and deviation.code == "not_contiguous":
                raise _NotContiguous
            if deviation is not None:
                raise _CutError(f"{TRIES} invalid answers; the last: {deviation.detail}", path=path)
            rows = answer.body["data"]
            # A full page that says that nothing follows is checked by one more request.
            more = answer.body["has_more"] or len(rows) == _PAGE_ROWS
            entries += rows if first is None else rows[1:]
            seen.update(one["id"] for one in rows)
        return entries

    async def _asked(self, path: str, sent: dict[str, Any], expected: Expected) -> tuple[Answer, Deviation | None]:
        async def get() -> Answer:
            return await self.client.get(path, sent)

        return await ask(get, lambda body: check_page(body, expected), request=request_name(path, sent))


class _NotContiguous(Exception):  # noqa: N818 - it ends one reading of the list, not the run
    """The entry that a page should begin with is not there: it was deleted."""


def _kinds(entries: Sequence[StripeObject]) -> frozenset[str]:
    """What the entries of the list can be, by those that are known; empty where nothing is."""
    known = frozenset(kind for one in entries if isinstance(kind := one.get("object"), str))
    return known | _SOURCES if known & _SOURCES else known


def _entries_problem(entries: object) -> str | None:
    """What is wrong with the entries of an embedded list."""
    if not isinstance(entries, list) or not all(type(one) is dict for one in entries):
        return "its data is not a list of objects"
    ids = [one.get("id") for one in entries]
    if not all(isinstance(one, str) and one for one in ids):
        return "an entry has no identifier"
    if len(set(ids)) < len(ids):
        return "an identifier comes twice"
    return None


async def read_parent(client: Client, listing: Listing, id_: str) -> StripeObject | None:
    """The object as its list would show it, with embedded lists cut; None when it was deleted.

    StripeUnavailable when the answers are of other objects.
    """
    expand = [path.removeprefix("data.") for path in listing.expand]
    path = f"{listing.path}/{quote(id_, safe='')}"

    async def get() -> Answer:
        return await client.get(path, {"expand": expand} if expand else {}, version=listing.api_version)

    def check(body: Mapping[str, Any]) -> Deviation | None:
        time = None if body.get("deleted") is True else listing.created
        return check_object(body, object=listing.object, id=id_, created=time)

    # A row is deleted from the table where the object is missing: both of two answers have to say so.
    for _ in range(2):
        try:
            answer = await ask_strictly(get, check, request=path)
        except RunError as error:
            if error.code != "resource_missing":
                raise
        else:
            return None if answer.body.get("deleted") is True else answer.body
    return None
