"""Messages and hints of calls name commands and flags; here they name routes and words."""

from __future__ import annotations

import re
from collections.abc import Callable

_DATASET = "/api/v1/datasets/{dataset}"


def _change(found: re.Match[str]) -> str:
    return f"PATCH {_DATASET} with {found[1].replace('-', '_')}"


#: What is said, and what is said here instead; one after the other.
_SAID: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"`counterfoil (account|alert|dataset|run)s list` shows", r"GET /api/v1/\1s shows"),
        (r"`counterfoil reports( --json)?` lists", "GET /api/v1/reports lists"),
        (r"counterfoil runs list .*", "GET /api/v1/runs?dataset=…"),
        (r"counterfoil runs cancel (\S+)", r"POST /api/v1/runs/\1/cancel"),
        (r"counterfoil run .*", f"POST {_DATASET}/runs"),
        (r"counterfoil datasets (pause|resume|reload) .*", rf"POST {_DATASET}/\1"),
        (r"counterfoil datasets edit --([a-z-]+).*", _change),
        (r"counterfoil accounts check .*", "POST /api/v1/accounts/{account}/check"),
        (r"counterfoil accounts key .*", "PUT /api/v1/accounts/{account}/key"),
        (r"counterfoil accounts add", "POST /api/v1/accounts"),
        (r"--overwrite", "overwrite=true"),
        # What is a flag on the command line is a word here.
        (r"(?<![\w-])--(?:option )?(?=[a-z])", ""),
    )
)


def in_api(text: str) -> str:
    """The text in the words of the API."""
    for pattern, said in _SAID:
        text = pattern.sub(said, text)
    return text
