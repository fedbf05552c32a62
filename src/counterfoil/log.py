"""structlog with redaction: whatever looks like a key of Stripe's never reaches a line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = re.compile(r"\b((?:sk|rk|rkcs)_(?:live|test|org)[A-Za-z]*_?|sk_org_?|whsec_)[A-Za-z0-9_*]{4,}")


def redacted(text: str) -> str:
    """The text with the body of each Stripe secret replaced, its prefix kept."""
    return _SECRET.sub(lambda match: match.group(1) + "…", text)


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redacted(value)
        elif isinstance(value, BaseException):
            event[key] = redacted(repr(value))
    return event


def configure(style: str = "text", *, level: int = logging.INFO) -> None:
    """Log lines go to stderr, as text or as one JSON object each."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Looked up for each line: progress on a terminal stands in for stderr while it is drawn.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
