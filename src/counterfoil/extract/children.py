"""Completes lists that Stripe embeds in an object and cuts after the first few entries.

How many come embedded is not stated; `has_more` is what counts, and the list's own `url` has the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from counterfoil.errors import RunError, StripeUnavailable
from counterfoil.extract.notices import Notices
from counterfoil.stripe.client import Client
from counterfoil.values import StripeObject

_PAGE_ROWS = 100


async def complete(
    client: Client, objects: Sequence[StripeObject], lists: Sequence[str], *, expand: Sequence[str], notices: Notices
) -> None:
    """Appends in place what is missing of the named lists of each object; `expand` is that of the objects' own list."""
    cut = [
        (embedded, _expand_below(name, expand))
        for name in lists
        for one in objects
        if isinstance(embedded := one.get(name), dict) and embedded.get("has_more")
    ]
    if cut:
        await asyncio.gather(*(_read_rest(client, embedded, below, notices) for embedded, below in cut))


def _expand_below(name: str, expand: Sequence[str]) -> list[str]:
    """`data.lines.data.discounts` of the parents' list is `data.discounts` of the embedded one."""
    prefix = f"data.{name}."
    return [path.removeprefix(prefix) for path in expand if path.startswith(prefix)]


async def _read_rest(client: Client, embedded: dict[str, Any], expand: list[str], notices: Notices) -> None:
    entries, url = embedded.get("data"), str(embedded.get("url"))
    parts = urlsplit(url)
    if not isinstance(entries, list) or not entries or parts.netloc or not parts.path.startswith("/v1/"):
        raise StripeUnavailable(f"An embedded list that goes on has no entries or no path: {url!r}")
    while embedded["has_more"]:
        cursor = entries[-1]["id"]
        params: dict[str, Any] = {**dict(parse_qsl(parts.query)), "limit": _PAGE_ROWS, "starting_after": cursor}
        if expand:
            params["expand"] = expand
        try:
            answer = await client.get(parts.path, params)
        except RunError as error:
            if error.status != 404:
                raise
            # The preview of an invoice names a list that Stripe may not serve; its first lines are still true.
            notices.add("Stripe shows no more of these embedded lists; `has_more` in them stays true", of=parts.path)
            return
        more = answer.body.get("data")
        if not isinstance(more, list) or (not more and answer.body.get("has_more")):
            raise StripeUnavailable("The rest of an embedded list is not a list", path=parts.path)
        if more and more[-1].get("id") == cursor:
            raise StripeUnavailable(f"The page after {cursor} ends with {cursor} again", path=parts.path)
        entries.extend(more)
        embedded["has_more"] = bool(answer.body.get("has_more"))
