"""Completes the lists that Stripe embeds in objects and truncates after the first few entries.

Stripe does not document the number of embedded entries. `has_more` shows whether entries are missing; the rest is read
from the list's own `url`.
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

#: Maximum number of starts of a list. It starts again when the entry after which it would continue was deleted.
_MOST_STARTS = 5
#: A list with one of these kinds can contain both.
_SOURCES = frozenset({"bank_account", "card"})
#: Path and query of an embedded list.
_URL = re.compile(r"(/v1(?:/[A-Za-z0-9_.~%:@!$&'()*+,;=-]+)+)(?:\?([^#\s]*))?")

#: Reads the current object again; None if it was deleted.
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
    """Completes the named lists of each object in place; returns the ids of objects deleted in the meantime.

    `expand` is the parameter of the objects' own list. If Stripe does not return a list, its object is read again,
    because it may have been deleted. If the object still exists, a missing list is an error; an `optional` list stays
    truncated instead, with a warning. StripeUnavailable if entries have no identifiers, or if their number differs from
    the list's `total_count`.
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
    """Whether the list is valid and complete."""
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
    """The object's identifier if it was deleted, otherwise None."""
    identifier = one.get("id")
    problem: _CutError | None = None
    for _ in range(TRIES):
        try:
            if not isinstance(one.get(name), dict):
                raise _CutError("the list is missing", absent=one.get(name) is None)
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
    """Adds a warning if the object is usable without its list; otherwise raises StripeUnavailable."""
    if problem.absent:
        notices.add(f"Stripe returned these objects without {name}", of=identifier)
    elif optional and problem.missing:
        notices.add("Stripe did not return the rest of these embedded lists; their `has_more` is true", of=problem.path)
    else:
        raise StripeUnavailable(
            f"the list {name} of {identifier} cannot be read to its end: {problem}",
            hint="Run it again later.",
            path=problem.path,
            code="invalid_answer",
        )


def _expand_below(name: str, expand: Sequence[str]) -> list[str]:
    """Paths for the embedded list: `data.lines.data.discounts` of the parents' list becomes `data.discounts`."""
    prefix = f"data.{name}."
    return [path.removeprefix(prefix) for path in expand if path.startswith(prefix)]


class _CutError(Exception):
    """An embedded list that cannot be completed or contradicts itself."""

    def __init__(self, message: str, *, path: str = "", missing: bool = False, absent: bool = False) -> None:
        super().__init__(message)
        self.path = path
        #: Whether the object has no such list.
        self.absent = absent
        #: Whether Stripe answers 404 for the list.
        self.missing = missing


@dataclass(slots=True)
class _Embedded:
    """One embedded list."""

    client: Client
    embedded: dict[str, Any]
    expand: list[str]

    async def complete(self) -> None:
        """Adds all missing entries, or none of them."""
        entries, has_more = self.embedded.get("data"), self.embedded.get("has_more")
        problem = _entries_problem(entries)
        if problem or not isinstance(entries, list):
            raise _CutError(problem or "the list has no entries")
        known = list(entries)
        # The rest is also requested when `has_more` is missing.
        if has_more is not False:
            if not known and has_more is True:
                raise _CutError("the list is empty, but has_more is true")
            known = await self._all(known)
        count = self.embedded.get("total_count")
        if type(count) is int and count != len(known):
            raise _CutError(f"the list has {len(known):,} entries, but total_count is {count:,}")
        if has_more is not False:
            # Keys in Stripe's order, so that a row does not depend on whether `has_more` was present.
            whole = {"object": "list", "data": known, "has_more": False}
            rest = {name: value for name, value in self.embedded.items() if name not in whole}
            self.embedded.clear()
            self.embedded.update(whole, **rest)

    async def _all(self, known: list[StripeObject]) -> list[StripeObject]:
        """The known entries and the rest."""
        url = self.embedded.get("url")
        parts = _URL.fullmatch(url) if isinstance(url, str) else None
        if parts is None or {".", ".."} & set(parts[1].split("/")):
            raise _CutError(f"the list's url {url!r} is not a path of the Stripe API")
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
                # Without `has_more: true` it is unknown whether entries are missing.
                has_rest = self.embedded.get("has_more") is True
                raise _CutError("Stripe did not return the rest of the list", path=path, missing=has_rest) from error
            except _NotContiguous:
                known = []
        raise _CutError("entries are deleted faster than the list can be read", path=path)

    async def _rest(self, path: str, params: dict[str, Any], known: Sequence[StripeObject]) -> list[StripeObject]:
        """The known entries and the entries after them. Each page begins with the last entry of the page before."""
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
                raise _CutError(f"{TRIES} invalid responses; the last: {deviation.detail}", path=path)
            rows = answer.body["data"]
            # A full page with `has_more: false` is verified by one more request.
            more = answer.body["has_more"] or len(rows) == _PAGE_ROWS
            entries += rows if first is None else rows[1:]
            seen.update(one["id"] for one in rows)
        return entries

    async def _asked(self, path: str, sent: dict[str, Any], expected: Expected) -> tuple[Answer, Deviation | None]:
        async def get() -> Answer:
            return await self.client.get(path, sent)

        return await ask(get, lambda body: check_page(body, expected), request=request_name(path, sent))


class _NotContiguous(Exception):  # noqa: N818 - it ends one reading of the list, not the run
    """The entry with which a page should begin is missing, because it was deleted."""


def _kinds(entries: Sequence[StripeObject]) -> frozenset[str]:
    """The kinds that the list's entries can have, judged by the known entries; empty if there are none."""
    known = frozenset(kind for one in entries if isinstance(kind := one.get("object"), str))
    return known | _SOURCES if known & _SOURCES else known


def _entries_problem(entries: object) -> str | None:
    """The problem of the entries of an embedded list, or None."""
    if not isinstance(entries, list) or not all(type(one) is dict for one in entries):
        return "the list's data is not a list of objects"
    ids = [one.get("id") for one in entries]
    if not all(isinstance(one, str) and one for one in ids):
        return "an entry has no identifier"
    if len(set(ids)) < len(ids):
        return "an identifier appears twice"
    return None


async def read_parent(client: Client, listing: Listing, id_: str) -> StripeObject | None:
    """The object as its list returns it, with truncated embedded lists; None if it was deleted.

    StripeUnavailable if the responses are about other objects.
    """
    expand = [path.removeprefix("data.") for path in listing.expand]
    path = f"{listing.path}/{quote(id_, safe='')}"

    async def get() -> Answer:
        return await client.get(path, {"expand": expand} if expand else {}, version=listing.api_version)

    def check(body: Mapping[str, Any]) -> Deviation | None:
        time = None if body.get("deleted") is True else listing.created
        return check_object(body, object=listing.object, id=id_, created=time)

    # A missing object is deleted from the table, so two responses must agree.
    for _ in range(2):
        try:
            answer = await ask_strictly(get, check, request=path)
        except RunError as error:
            if error.code != "resource_missing":
                raise
        else:
            return None if answer.body.get("deleted") is True else answer.body
    return None
