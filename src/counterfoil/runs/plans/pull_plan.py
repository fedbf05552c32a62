"""Plans a pull: validates its options against the report, and fixes the rows to read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from counterfoil.arguments import whole_number
from counterfoil.errors import SettingsError
from counterfoil.reports.options import checked_option
from counterfoil.reports.report import Report
from counterfoil.values import Window

Instant = str | date | datetime | int


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows that one run reads: a report, a window, a limit and options."""

    report: Report
    window: Window = field(default_factory=Window)
    #: Only the N newest rows; None for all rows.
    limit: int | None = None
    #: Options that differ from the report's defaults, as given.
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, str]:
        """The request parameters of the options."""
        sent = {}
        for option in self.report.options:
            choice = self.options.get(option.name, option.default)
            value = option.sends.get(choice, choice) if choice is not None else None
            if value is not None:
                sent[option.param or option.name] = value
        return sent

    @property
    def narrowed(self) -> bool:
        """Whether the options can exclude objects."""
        chosen = ((option, self.options.get(option.name, option.default)) for option in self.report.options)
        return any(choice is not None and choice != option.widest for option, choice in chosen)

    @property
    def scope(self) -> dict[str, Any]:
        """The restrictions, for comparison with those of another load; empty if there are none."""
        chosen: dict[str, Any] = {
            "since": self.window.since,
            "until": self.window.until,
            "limit": self.limit,
            "options": dict(sorted(self.options.items())) or None,
        }
        return {name: value for name, value in chosen.items() if value is not None}


def plan(
    report: Report,
    *,
    since: Instant | None = None,
    until: Instant | None = None,
    limit: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Plan:
    """The plan; SettingsError names the invalid value and valid ones."""
    limit = None if limit is None else _checked_limit(limit)
    if limit is not None and report.created is None:
        raise SettingsError(f"{report.title} does not support --limit", hint="Omit --limit.")
    first = None if since is None else parse_instant(since, "--since")
    end = None if until is None else parse_instant(until, "--until")
    if (first is not None or end is not None) and report.created is None:
        raise SettingsError(f"{report.title} does not support --since and --until", hint="Omit --since and --until.")
    if first is not None and end is not None and end <= first:
        raise SettingsError(
            f"--until {until} is not after --since {since}", hint="Use a later --until; the range excludes it."
        )
    given = {name: checked_option(report, name, value) for name, value in (options or {}).items()}
    defaults = {option.name: option.default for option in report.options}
    narrowed = {name: value for name, value in given.items() if value != defaults[name]}
    return Plan(report, Window(first, end), limit, narrowed)


def _checked_limit(given: int) -> int:
    limit = whole_number(given, "limit")
    if limit >= 2**63:
        raise SettingsError(f"--limit {limit} is too large", hint="Omit --limit to read all rows.")
    return limit


def parse_instant(value: Instant, name: str) -> int:
    """Unix seconds of a date (UTC midnight) or an RFC 3339 instant; SettingsError names `name` and the value."""
    hint = "Use YYYY-MM-DD for UTC midnight, or RFC 3339, such as 2026-01-31T09:30:00Z."
    if isinstance(value, bool) or not isinstance(value, int | str | date):
        raise SettingsError(f"invalid date for {name}: {value!r}", hint=hint)
    if isinstance(value, int):
        return value
    try:
        parsed: date = _parsed(value) if isinstance(value, str) else value
    except ValueError as error:
        # Python's message about the format does not help; one about an invalid day or hour does.
        reason = "" if str(error).startswith("Invalid isoformat") else f": {error}"
        raise SettingsError(f"invalid date for {name}: {value!r}{reason}", hint=hint) from error
    if not isinstance(parsed, datetime):
        parsed = datetime.combine(parsed, time(), UTC)
    if parsed.tzinfo is None:
        raise SettingsError(f"{name} {value} has no time zone", hint=hint)
    return int(parsed.timestamp())


def _parsed(text: str) -> date:
    text = text.strip()
    return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else datetime.fromisoformat(text)
