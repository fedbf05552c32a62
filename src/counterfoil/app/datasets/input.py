"""What a person writes of a dataset, on the command line or in a form, as the values that are stored.

Everywhere None leaves what was before, and an empty word takes it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.runs.plans.pull_plan import parse_instant
from counterfoil.schedules import Manual, Schedule, parse
from counterfoil.state.dataset import After, Choice, Dataset, Merge, Partition, Proof, Retry

#: What takes a word of a configuration back; a word that is not here is taken back by an empty text.
_EMPTY: dict[str, Any] = {"options": {}, "promote": [], "leave_out": [], "hash": [], "last_days": 0}
_PERIOD = re.compile(r"(?:last\s+)?(\d{1,6})\s*(day|week|month)s?")


def read_changes(words: Mapping[str, Any], before: Dataset | None = None) -> dict[str, Any]:
    """What the words of a configuration (`docs/configuration.md`) make of a dataset, as the calls on datasets take it.

    Only what they change; without a dataset before, everything but what names it and where it goes to. A word that is
    None is as if it had never been said. The words have the types that the configuration asks for.
    """
    said = {name: _EMPTY.get(name, "") if value is None else value for name, value in words.items()}
    usual = {name: getattr(before, name, value) for name, value in _USUAL.items()}
    options = said.get("options")
    retry = said.get("retry")
    retry = Retry().attempts if retry == "" else retry
    made: dict[str, Any] = {
        "description": said.get("description", usual["description"]).strip(),
        "choice": read_choice(
            usual["choice"],
            since=said.get("since"),
            until=said.get("until"),
            last_days=said.get("last_days"),
            options=None if options is None else [f"{name}={value}" for name, value in options.items()],
            promoted=said.get("promote"),
            left_out=said.get("leave_out"),
            hashed=said.get("hash"),
        ),
        "schedule": read_schedule(usual["schedule"], said.get("schedule"), said.get("zone")),
        "retry": read_retry(
            usual["retry"],
            on=None if retry is None else bool(retry),
            attempts=retry if retry and retry is not True else None,
            every_minutes=_said(said, "retry_minutes", Retry().every_minutes),
            manual=_said(said, "retry_manual", Retry().manual),
        ),
        "proof": read_proof(
            usual["proof"],
            after=_said(said, "checks", Proof().after),
            deep=said.get("deep_checks"),
            hold=_said(said, "hold", Proof().hold),
        ),
        "partition": read_partition(said["partition"]) if "partition" in said else usual["partition"],
        "merge": read_merge(
            usual["merge"],
            deleted=_said(said, "deleted", Merge().deleted),
            history=_said(said, "history", Merge().history),
            reread_days=_said(said, "reread_days", Merge().reread_days),
        ),
        "deadline_minutes": said.get("deadline_minutes", usual["deadline_minutes"]) or None,
    }
    if said.get("method"):
        made["method"] = said["method"]
    return made if before is None else {name: value for name, value in made.items() if value != getattr(before, name)}


def _said(words: Mapping[str, Any], name: str, usual: Any) -> Any:
    """The word; what is usual where it is taken back, None where nothing was said."""
    value = words.get(name)
    return usual if value == "" and isinstance(value, str) else value


def read_choice(
    before: Choice,
    *,
    since: str | None = None,
    until: str | None = None,
    last_days: int | None = None,
    options: Sequence[str] | None = None,
    promoted: Sequence[str] | None = None,
    left_out: Sequence[str] | None = None,
    hashed: Sequence[str] | None = None,
) -> Choice:
    """Dates as `2026-01-31` (UTC midnight) or RFC 3339, options as `NAME=VALUE`; no last days are 0."""
    changes: dict[str, Any] = {}
    if since is not None:
        changes["since"] = parse_instant(since, "--since") if since.strip() else None
    if until is not None:
        changes["until"] = parse_instant(until, "--until") if until.strip() else None
    if last_days is not None:
        changes["last_days"] = last_days or None
    if options is not None:
        changes["options"] = dict(map(_option, _words(options)))
    lists = {"promoted": promoted, "left_out": left_out, "hashed": hashed}
    changes |= {name: tuple(_words(words)) for name, words in lists.items() if words is not None}
    made = replace(before, **changes)
    if made.since is not None and made.until is not None and made.until <= made.since:
        raise SettingsError(
            f"--until {until or _day(made.until)} is not after --since {since or _day(made.since)}",
            hint="The range is [since, until): until is left out.",
        )
    return made


#: Of a dataset of which nothing was said.
_USUAL: dict[str, Any] = {
    "description": "",
    "choice": Choice(),
    "schedule": Manual(),
    "retry": Retry(),
    "proof": Proof(),
    "partition": None,
    "merge": None,
    "deadline_minutes": None,
}


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("T00:00:00+00:00")


def read_partition(words: str) -> Partition | None:
    """`3 months`."""
    if not words.strip():
        return None
    found = _PERIOD.fullmatch(words.strip().lower())
    if found is None:
        raise SettingsError(
            f"{redacted(words)!r} is not a period", hint="Give days, weeks or months, such as '3 months'."
        )
    return Partition(unit=cast("Literal['day', 'week', 'month']", found[2]), last=int(found[1]))


def read_merge(
    before: Merge | None,
    *,
    deleted: Literal["keep", "drop"] | None = None,
    history: bool | None = None,
    reread_days: int | None = None,
) -> Merge | None:
    """How a merge keeps its table; None where nothing was said."""
    given: dict[str, Any] = {"deleted": deleted, "history": history, "reread_days": reread_days}
    changes = {name: value for name, value in given.items() if value is not None}
    return replace(before or Merge(), **changes) if changes else before


def read_proof(
    before: Proof, *, after: After | None = None, deep: str | None = None, hold: bool | None = None
) -> Proof:
    """Which checks runs make; empty words take the deeper ones back."""
    given: dict[str, Any] = {"after": after, "hold": hold}
    changes = {name: value for name, value in given.items() if value is not None}
    if deep is not None:
        changes["deep"] = parse(deep) if deep.strip() else None
    return replace(before, **changes)


def read_schedule(before: Schedule, words: str | None, zone: str | None) -> Schedule:
    """Words as in `docs/schedules.md`; a zone that is written in them goes first."""
    zone = zone.strip() if zone else None
    if words is None:
        return before if zone is None else _moved(before, zone)
    if not words.strip():
        return Manual(zone=zone or before.zone)
    return parse(words, zone or before.zone)


def _moved(schedule: Schedule, zone: str) -> Schedule:
    from counterfoil.schedules import describe

    # Said again in the other zone, since what it counts from is local there.
    words = describe(schedule).removesuffix(f" in {schedule.zone}")
    return parse(words, zone)


def read_retry(
    before: Retry,
    *,
    on: bool | None = None,
    attempts: int | None = None,
    every_minutes: int | None = None,
    manual: bool | None = None,
) -> Retry:
    """A number of attempts or minutes turns retries on."""
    if on is False and (attempts is not None or every_minutes is not None):
        raise SettingsError("--no-retry does not go with --retry or --retry-minutes", hint="Choose one of the two.")
    if on is None and (attempts is not None or every_minutes is not None):
        on = True
    given: dict[str, Any] = {"on": on, "attempts": attempts, "every_minutes": every_minutes, "manual": manual}
    return replace(before, **{name: value for name, value in given.items() if value is not None})


def _option(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name or not value:
        raise SettingsError(f"--option {redacted(word)!r} is not NAME=VALUE", hint="For example: --option status=all")
    return name, value


def _words(words: Iterable[str]) -> list[str]:
    return [word for word in words if word.strip()]
