"""Translates hints: errors name commands and options of the command line; the API names routes and fields."""

from __future__ import annotations

import re
from collections.abc import Callable

_DATASET = "/api/v1/datasets/{dataset}"


def _change(found: re.Match[str]) -> str:
    return f"PATCH {_DATASET} with {found[1].replace('-', '_')}"


#: Patterns in messages and hints and their replacements in the API, applied in order.
_REPLACEMENTS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"See: counterfoil docs (\w+)", r"See the documentation, topic \1."),
        (r"Run: counterfoil (account|alert|dataset|run)s list", r"Use GET /api/v1/\1s"),
        (r"counterfoil reports( --json)?", "GET /api/v1/reports"),
        (r"counterfoil runs list .*", "GET /api/v1/runs?dataset=…"),
        (r"counterfoil runs cancel (\S+)", r"POST /api/v1/runs/\1/cancel"),
        (r"counterfoil run .*", f"POST {_DATASET}/runs"),
        (r"counterfoil prove \S+ --run ([^`\s]+)", rf"GET {_DATASET}/checks?run=\1"),
        (r"counterfoil datasets (pause|resume|reload) .*", rf"POST {_DATASET}/\1"),
        (r"counterfoil datasets edit --([a-z-]+).*", _change),
        (r"counterfoil accounts check .*", "POST /api/v1/accounts/{account}/check"),
        (r"counterfoil accounts key .*", "PUT /api/v1/accounts/{account}/key"),
        (r"counterfoil accounts add", "POST /api/v1/accounts"),
        (r"counterfoil alerts add", "POST /api/v1/alerts"),
        (r"--overwrite", "overwrite=true"),
        (r"--yes", "with_datasets=true"),
        # Options of the command line are fields here.
        (r"(?<![\w-])--(?:option )?(?=[a-z])", ""),
    )
)


def in_api(text: str) -> str:
    """The text in terms of the API."""
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text
