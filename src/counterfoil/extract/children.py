"""Completes lists that Stripe embeds in an object and cuts after the first few entries.

How many come embedded is not stated; `has_more` is what counts, and the list's own `url` has the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from counterfoil.errors import RunError, StripeUnavailable
from counterfoil.extract.notices import Notices
from counterfoil.extract.side_by_side import all_of
from counterfoil.stripe.client import Client
from counterfoil.values import StripeObject

_PAGE_ROWS = 100

#: How often a list is begun anew because the entry that it would go on after was deleted meanwhile.
_MOST_STARTS = 5


async def complete(
    client: Client,
    objects: Sequence[StripeObject],
    lists: Sequence[str],
    *,
    expand: Sequence[str],
    notices: Notices,
    optional: bool = False,
) -> None:
    """Appends in place what is missing of the named lists of each object; `expand` is that of the objects' own list.

    A list that Stripe does not show stays cut, with a notice, when its object was deleted meanwhile, and always when it
    is `optional`; otherwise that is an error.
    """
    cut = [
        _Cut(client, embedded, _expand_below(name, expand), notices, optional)
        for name in lists
        for one in objects
        if isinstance(embedded := one.get(name), dict) and embedded.get("has_more")
    ]
    await all_of([one.read_rest() for one in cut])


def _expand_below(name: str, expand: Sequence[str]) -> list[str]:
    """`data.lines.data.discounts` of the parents' list is `data.discounts` of the embedded one."""
    prefix = f"data.{name}."
    return [path.removeprefix(prefix) for path in expand if path.startswith(prefix)]


@dataclass(slots=True)
class _Cut:
    """One embedded list that goes on."""

    client: Client
    embedded: dict[str, Any]
    expand: list[str]
    notices: Notices
    optional: bool

    async def read_rest(self) -> None:
        """Puts all entries in place, or none that were not there."""
        entries, url = self.embedded.get("data"), str(self.embedded.get("url"))
        parts = urlsplit(url)
        if not isinstance(entries, list) or not entries or parts.netloc or not parts.path.startswith("/v1/"):
            raise StripeUnavailable(f"An embedded list that goes on has no entries or no path: {url!r}")
        params: dict[str, Any] = {**dict(parse_qsl(parts.query)), "limit": _PAGE_ROWS}
        if self.expand:
            params["expand"] = self.expand
        known = list(entries)
        for _ in range(_MOST_STARTS):
            try:
                await self._go_on(parts.path, params, known)
            except RunError as error:
                if error.code == "resource_missing" and error.param == "starting_after":
                    known = []
                    continue
                if error.status != 404 or not (self.optional or error.code == "resource_missing"):
                    raise
                self.notices.add(
                    "Stripe shows no more of these embedded lists; `has_more` in them stays true", of=parts.path
                )
                return
            self.embedded.update(data=known, has_more=False)
            return
        raise StripeUnavailable("Entries are deleted faster than the list can be read", path=parts.path)

    async def _go_on(self, path: str, params: dict[str, Any], known: list[StripeObject]) -> None:
        """Appends what comes behind the known entries."""
        seen = {one["id"] for one in known}
        has_more = True
        while has_more:
            after = {"starting_after": known[-1]["id"]} if known else {}
            answer = await self.client.get(path, {**params, **after})
            more, has_more = answer.body.get("data"), bool(answer.body.get("has_more"))
            if not isinstance(more, list) or (not more and has_more):
                raise StripeUnavailable("The rest of an embedded list is not a list", path=path)
            for one in more:
                if one.get("id") in seen:
                    raise StripeUnavailable(f"An embedded list shows {one.get('id')} twice", path=path)
                seen.add(one.get("id"))
            known.extend(more)
