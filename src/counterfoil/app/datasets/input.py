"""Conversion of a dataset's options between input values and stored values.

Names and types are those of a configuration file (`docs/configuration.md`); the command line, the form and the API use
the same. None or an empty value restores the default; a missing option remains unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

from counterfoil.dataset_options import OPTIONS, Option
from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.runs.plans.pull_plan import parse_instant
from counterfoil.schedules import Manual, Schedule, describe, parse
from counterfoil.state.dataset import DEFAULTS, OPTION_GROUPS, Dataset, Partition

#: Options except those of the tables and the schedule.
_OWN = tuple(option for option in OPTIONS if option.field.split(".")[0] not in ("targets", "schedule"))
_PERIOD = re.compile(r"(?:last\s+)?(\d{1,6})\s*(day|week|month)s?")


def read_changes(given: Mapping[str, Any], before: Dataset | None = None) -> dict[str, Any]:
    """The options as fields of a dataset, for `DatasetService.create` and `edit`; omits other names.

    Returns only the fields that differ from `before`; without `before`, every field that has a default. Passes `to` and
    `table` on if given.
    """
    given = {name: "" if value is None else value for name, value in given.items()}
    made = {name: getattr(before, name, default) for name, default in DEFAULTS.items()}
    made |= {group: read_group(group, given, made[group]) for group in OPTION_GROUPS}
    for option in _OWN:
        if not option.group and option.name in given:
            made[option.field] = _read(option, given[option.name])
    made["schedule"] = read_schedule(made["schedule"], given.get("schedule"), given.get("zone"))
    if made.get("method") is None:
        made.pop("method", None)
    if before is not None:
        made = {name: value for name, value in made.items() if value != getattr(before, name)}
    return made | {name: given[name] for name in ("to", "table") if given.get(name, "") != ""}


def read_group(group: str, given: Mapping[str, Any], before: Any) -> Any:
    """The options that are stored together as `Choice`, `Merge`, `Retry` or `Proof`."""
    options = [option for option in _OWN if option.group == group and option.name in given]
    if not options:
        return before
    changes = {option.attribute: _read(option, given[option.name]) for option in options}
    made = replace(before or OPTION_GROUPS[group], **(_retries(changes) if group == "retry" else changes))
    if group == "choice" and made.since is not None and made.until is not None and made.until <= made.since:
        raise SettingsError(
            f"--until {given.get('until') or _day(made.until)} is not after "
            f"--since {given.get('since') or _day(made.since)}",
            hint="Use a later --until; the range does not include it.",
        )
    return made


def options_of(dataset: Dataset) -> dict[str, Any]:
    """Every option of a dataset as an input value; `after` is an id."""
    zone = dataset.schedule.zone
    to = [redacted(target.url) for target in dataset.targets]
    made = {option.name: _written(option, _stored(dataset, option)) for option in _OWN} | {
        "retry": dataset.retry.attempts if dataset.retry.on else False,
        "to": to if len(to) > 1 else to[0],
        "table": dataset.targets[0].table,
        "schedule": describe(dataset.schedule).removesuffix(f" in {zone}"),
        "zone": zone,
    }
    return {option.name: made[option.name] for option in OPTIONS}


def labeled_options(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """The label and the value of each option with a separate line; the value is empty if not set."""
    for option in _OWN:
        if option.label:
            value = _written(option, _stored(dataset, option))
            counted = option.limits.counted if option.limits else str
            yield option.label, "" if value is None else counted(value)


def default_of(option: Option) -> Any:
    """The stored value of a missing option; None for the tables and the schedule."""
    if option.group in OPTION_GROUPS:
        return getattr(OPTION_GROUPS[option.group], option.attribute)
    return DEFAULTS.get(option.field)


def _stored(dataset: Dataset, option: Option) -> Any:
    if not option.group:
        return getattr(dataset, option.field)
    return getattr(getattr(dataset, option.group) or OPTION_GROUPS[option.group], option.attribute)


def _read(option: Option, given: Any) -> Any:
    default = default_of(option)
    if isinstance(given, str):
        given = given.strip()
        if not given:
            return default
    if option.kind == "number":
        return given if given or default is not None else None
    if option.kind == "names":
        return tuple(word for word in given if word.strip())
    if option.kind == "pairs":
        words = [f"{name}={value}" for name, value in given.items()] if isinstance(given, Mapping) else given
        return dict(_pair(word) for word in words if word.strip())
    if option.kind == "instant":
        return parse_instant(given, f"--{option.name}")
    if option.kind == "period":
        return read_partition(given)
    return parse(given) if option.kind == "schedule" else given


def _written(option: Option, value: Any) -> Any:
    if value is None:
        return None
    if option.kind == "names":
        return list(value)
    if option.kind == "pairs":
        return dict(value)
    if option.kind == "instant":
        return _day(value).replace("+00:00", "Z")
    if option.kind == "period":
        return f"{value.last} {value.unit}s"
    return describe(value) if option.kind == "schedule" else value


def _day(seconds: int) -> str:
    """`2026-01-31`, or with the time of day if it is not midnight in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("T00:00:00+00:00")


def read_partition(words: str) -> Partition | None:
    """`3 months`."""
    if not words.strip():
        return None
    found = _PERIOD.fullmatch(words.strip().lower())
    if found is None:
        raise SettingsError(
            f"invalid period: {redacted(words)!r}", hint="Use days, weeks or months, such as '3 months'."
        )
    return Partition(unit=cast("Literal['day', 'week', 'month']", found[2]), last=int(found[1]))


def read_schedule(before: Schedule, words: str | None, zone: str | None) -> Schedule:
    """Parses a schedule as in `docs/schedules.md`; a time zone in the text takes precedence."""
    zone = zone.strip() if zone else None
    if words is None:
        # Parsed again in the new zone, because the start of the schedule is local to it.
        return before if zone is None else parse(describe(before).removesuffix(f" in {before.zone}"), zone)
    if not words.strip():
        return Manual(zone=zone or before.zone)
    return parse(words, zone or before.zone)


def _retries(changes: dict[str, Any]) -> dict[str, Any]:
    """A number of attempts or minutes enables retries; false disables them."""
    attempts = changes.pop("attempts", None)
    if attempts is not None and not attempts:
        if "every_minutes" in changes:
            raise retry_conflict()
        return changes | {"on": False}
    if attempts is None and "every_minutes" not in changes:
        return changes
    return changes | {"on": True} | ({} if attempts is None or attempts is True else {"attempts": attempts})


def retry_conflict() -> SettingsError:
    """The error for a single attempt combined with several."""
    return SettingsError(
        "--no-retry cannot be combined with --retry or --retry-minutes", hint="Use --no-retry or the other options."
    )


def _pair(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not name or not value:
        raise SettingsError(f"invalid --option: {redacted(word)!r}", hint="Use NAME=VALUE, such as status=all.")
    return name, value
