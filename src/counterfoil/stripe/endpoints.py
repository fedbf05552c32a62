"""Endpoints as Stripe limits and counts them: the method and the path with placeholders for ids."""

from __future__ import annotations

import re
from functools import lru_cache

#: First path segments that only group resources: /v1/issuing/cards.
_GROUP = re.compile(
    "apple_pay|apps|billing|billing_portal|checkout|climate|entitlements|financial_connections|forwarding|identity|"
    "issuing|radar|reporting|sigma|tax|terminal|test_helpers|treasury"
)
#: Words that appear in the position of an id.
_WORDS = frozenset({"create_preview", "find", "history", "lines", "preview", "search", "upcoming"})


@lru_cache(maxsize=4096)
def endpoint(method: str, path: str) -> str:
    """`GET /v1/invoices/{id}/lines` for `GET`, `/v1/invoices/in_1/lines`."""
    version, *segments = path.strip("/").split("/")
    shown = [version]
    name_next = True
    for place, segment in enumerate(segments):
        if name_next:
            shown.append(segment)
            name_next = place == 0 and _GROUP.fullmatch(segment) is not None
        elif segment in _WORDS:
            shown.append(segment)
        else:
            shown.append("{id}")
            name_next = True
    return f"{method} /{'/'.join(shown)}"
