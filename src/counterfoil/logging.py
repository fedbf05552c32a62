"""structlog with redaction: whatever looks like a key of Stripe's, or a token of ours, never reaches a line.

Loggers of ours are set up here and nowhere else, so that a program which uses structlog itself keeps its own.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, Literal

import structlog

#: `plain` is for a person who waits for one command: no time, and the values in words.
Style = Literal["text", "json", "plain"]

_SECRET = re.compile(r"\b((?:sk|rk|rkcs)_(?:live|test|org)[A-Za-z]*_?|sk_org_?|whsec_)[A-Za-z0-9_*]{4,}")
#: Tokens of ours, also those that are cut short.
_TOKEN = re.compile(r"\bcf_[0-9a-f]{16,}")

#: The password of a URL, between its user and the last @ before the path, or a secret among its parameters.
_PASSWORD = re.compile(
    r"(?<=://)([^\s/?#:@]*):(?!\*+@)[^\s/?#]*@"
    r"|((?<=[?&])(?:(?:ssl)?password|secret)=)(?!env:|file:)[^\s&#]*"
)

#: What a line of text leaves to JSON, so that it fits a terminal.
_FOR_MACHINES = frozenset({"room", "endpoint", "request_id", "wait_seconds"})

#: As a library: warnings, as text. The command line asks for more.
_chosen: dict[str, Any] = {"style": "text", "level": logging.WARNING}


def redacted(text: str) -> str:
    """The text with the body of each Stripe secret, and of each token of ours, replaced, its prefix kept; and each
    password in a URL.
    """
    text = _TOKEN.sub("cf_…", text)
    text = _SECRET.sub(lambda match: match.group(1) + "…", text)
    return _PASSWORD.sub(lambda match: f"{match[2]}…" if match[2] else f"{match[1]}:…@", text)


def configure(style: Style = "text", *, level: int = logging.INFO) -> None:
    """Lines from `level` on go to stderr, as text, plainly or as one JSON object each."""
    _chosen.update(style=style, level=level)


def configure_command(style: Style) -> None:
    """Warnings of one command go to stderr among its own lines, plainly unless JSON is asked for."""
    configure("json" if style == "json" else "plain", level=logging.WARNING)


def get_logger(name: str) -> Any:
    """A logger of ours; its lines say which room speaks."""
    return structlog.wrap_logger(
        _Stderr(),
        processors=[
            structlog.contextvars.merge_contextvars,
            _drop_below_level,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
        cache_logger_on_first_use=True,
        room=name,
    )


class _Stderr:
    """Looks stderr up for each line: progress on a terminal stands in for it while it is drawn."""

    def msg(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is where lines come out

    debug = info = warning = error = critical = msg


def _drop_below_level(_logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if logging.getLevelNamesMapping()[method.upper()] < _chosen["level"]:
        raise structlog.DropEvent
    return event


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str | BaseException):
            event[key] = redacted(str(value))
    return event


def _render(logger: object, method: str, event: MutableMapping[str, Any]) -> str | bytes:
    if _chosen["style"] == "json":
        return structlog.processors.JSONRenderer()(logger, method, event)
    shown = {key: value for key, value in event.items() if key not in _FOR_MACHINES}
    if _chosen["style"] == "plain":
        return _plain(shown)
    return _renderer(sys.stderr.isatty())(logger, method, shown)


def _plain(shown: MutableMapping[str, Any]) -> str:
    words = {key: value for key, value in shown.items() if key not in ("event", "level", "timestamp")}
    told = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in words.items())
    return f"{shown['level']}: {shown['event']}" + (f" ({told})" if told else "")


@lru_cache
def _renderer(colors: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(0, colors=colors, pad_level=False)
