"""Logging through structlog, with redaction: Stripe keys, API tokens and passwords never reach a log line.

Only Counterfoil's own loggers are configured here. A program that uses structlog keeps its own configuration.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, Literal

import structlog

#: `plain` is for a person who runs one command: no timestamp, and the values as plain text.
Style = Literal["text", "json", "plain"]

_SECRET = re.compile(r"\b((?:sk|rk|rkcs)_(?:live|test|org)[A-Za-z]*_?|sk_org_?|whsec_)[A-Za-z0-9_*]{4,}")
#: Counterfoil's API tokens, including truncated ones.
_TOKEN = re.compile(r"\bcf_[0-9a-f]{16,}")

#: The password in a URL, between the user name and the last @ before the path, or a secret in the parameters.
_PASSWORD = re.compile(
    r"(?<=://)([^\s/?#:@]*):(?!\*+@)[^\s/?#]*@"
    r"|((?<=[?&])(?:(?:ssl)?password|secret)=)(?!env:|file:)[^\s&#]*"
)

#: Fields that only JSON lines include. Text lines omit them to fit a terminal.
_FOR_MACHINES = frozenset({"room", "endpoint", "request_id", "wait_seconds"})

#: The defaults for use as a library: warnings only, as text. Commands change them.
_chosen: dict[str, Any] = {"style": "text", "level": logging.WARNING}


def redacted(text: str) -> str:
    """The text with each Stripe secret and API token cut to its prefix, and each password in a URL replaced."""
    text = _TOKEN.sub("cf_…", text)
    text = _SECRET.sub(lambda match: match.group(1) + "…", text)
    return _PASSWORD.sub(lambda match: f"{match[2]}…" if match[2] else f"{match[1]}:…@", text)


def configure(style: Style = "text", *, level: int = logging.INFO) -> None:
    """Writes lines of `level` and above to stderr: as text, as plain text, or as one JSON object each."""
    _chosen.update(style=style, level=level)


def configure_command(style: Style) -> None:
    """Writes the warnings of a command to stderr, as plain text unless the style is `json`."""
    configure("json" if style == "json" else "plain", level=logging.WARNING)


def in_command() -> bool:
    """Whether lines are part of a command's output, which reports errors itself."""
    return bool(_chosen["style"] == "plain")


def get_logger(name: str) -> Any:
    """A Counterfoil logger. The field `room` of its lines names the package."""
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
    """Looks up `sys.stderr` for each line, because a progress display replaces it while it is drawn."""

    def msg(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the output of the log

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
    details = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in words.items())
    return f"{shown['level']}: {shown['event']}" + (f" ({details})" if details else "")


@lru_cache
def _renderer(colors: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(0, colors=colors, pad_level=False)
