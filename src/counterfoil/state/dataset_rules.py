"""What a dataset must be before it is stored. Needs the reports and nothing else; SettingsError says what to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

from counterfoil.columns.chosen import choose
from counterfoil.dataset_options import OPTIONS, Limits
from counterfoil.destinations.kinds import check_table_name
from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.reports.catalogue import report as report_of
from counterfoil.reports.options import checked_option
from counterfoil.reports.report import Report
from counterfoil.schedules import check
from counterfoil.state.dataset import After, Choice, Merge, Partition, Proof, Target
from counterfoil.values import Method

_MOST = {"day": 366, "week": 104, "month": 36}


def check_dataset(values: Mapping[str, Any], *, least_minutes: int) -> None:
    """The fields of a dataset, all of them, against its report and one another."""
    report = report_of(values["report"])
    check_method(report, values["method"], values["partition"])
    check_merge(values["method"], values["merge"])
    check_choice(report, values["choice"], values["method"])
    check_targets(values["targets"])
    check(values["schedule"], least_minutes=least_minutes)
    _check_limits("retry", asdict(values["retry"]))
    check_proof(values["proof"], least_minutes=least_minutes)
    _check_limits("", values)
    if len(values["description"]) > 2_000:
        raise SettingsError("The description is too long", hint="Give at most 2,000 characters.")
    for name in ("name", "description"):
        if redacted(values[name]) != values[name]:
            raise SettingsError(f"The {name} holds a key of Stripe's", hint="Leave the key out: anyone may read this.")


def check_method(report: Report, method: Method, partition: Partition | None) -> None:
    """Whether the report permits the method, and the partition goes with both."""
    if method not in report.methods:
        reason = " has no time of creation to be partitioned by" if method == "partition" else f" can't be {method!r}"
        raise SettingsError(f"{report.title}{reason}", hint=f"Choose one of: {', '.join(report.methods)}.")
    if (partition is not None) != (method == "partition"):
        if partition is None:
            raise SettingsError("The method partition needs a period", hint="Such as the last 3 months.")
        raise SettingsError(f"A period does not go with the method {method}", hint="Choose partition, or no period.")
    if partition is not None:
        if partition.unit not in _MOST:
            raise SettingsError(f"{partition.unit!r} is no period", hint=f"Choose one of: {', '.join(_MOST)}.")
        most, unit = _MOST[partition.unit], f"{partition.unit}s"
        Limits(subject="The period", least=1, most=most, unit=unit).check(partition.last)


def check_merge(method: Method, merge: Merge | None) -> None:
    """Whether what was chosen of merging goes with the method."""
    if merge is None:
        return
    if method != "merge":
        raise SettingsError(
            f"What becomes of deleted rows, history and rereading do not go with the method {method}",
            hint="Choose merge, or leave them out.",
        )
    if merge.deleted not in ("keep", "drop"):
        raise SettingsError(f"Deleted rows can't be {merge.deleted!r}", hint="Choose keep or drop.")
    _check_limits("merge", asdict(merge))


def check_choice(report: Report, choice: Choice, method: Method) -> None:
    """Whether the report has what was chosen of it."""
    for name, value in choice.options.items():
        checked_option(report, name, value)
    choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    bounds = [
        word
        for word, value in (("since", choice.since), ("until", choice.until), ("last days", choice.last_days))
        if value is not None
    ]
    if bounds and report.created is None:
        raise SettingsError(
            f"{report.title} has no time of creation to be narrowed by", hint=f"Leave out {' and '.join(bounds)}."
        )
    if bounds and method == "partition":
        raise SettingsError(
            f"The method partition does not go with {' and '.join(bounds)}",
            hint="Its period says what is read. Leave them out, or choose another method.",
        )
    if choice.last_days is not None:
        if len(bounds) > 1:
            raise SettingsError(
                f"The last {choice.last_days} days do not go with since or until", hint="Choose one of the two."
            )
        _check_limits("choice", asdict(choice))
    if choice.since is not None and choice.until is not None and choice.until <= choice.since:
        raise SettingsError(
            f"until {choice.until} is not after since {choice.since}",
            hint="The range is [since, until): until is left out.",
        )


def check_targets(targets: tuple[Target, ...]) -> None:
    """Whether each names a table in a place. Whether the place is there is for the destinations to say."""
    if not targets:
        raise SettingsError("The dataset goes nowhere", hint="Give it a destination, such as duckdb:///stripe.duckdb.")
    for target in targets:
        if not re.match(r"[a-z][a-z0-9+]*:", target.url):
            raise SettingsError(
                f"{redacted(target.url)!r} is not a destination", hint="Give a URL such as duckdb:///stripe.duckdb."
            )
        if redacted(target.url) != target.url:
            raise SettingsError(
                f"{redacted(target.url)} holds a password, and a dataset's destination is shown and kept as it is",
                hint="Leave it out: say where it is (?password=env:NAME or ?password=file:/path), or use ~/.pgpass; "
                "for Domo say ?secret=env:NAME.",
            )
        check_table_name(target.table, target.url)


def check_proof(proof: Proof, *, least_minutes: int) -> None:
    """Whether the checks that it asks for are there, and when the deeper ones are due makes sense."""
    if proof.after not in get_args(After):
        raise SettingsError(f"{proof.after!r} are no checks", hint=f"Choose one of: {', '.join(get_args(After))}.")
    if proof.deep is not None:
        check(proof.deep, least_minutes=least_minutes)
    if proof.after == "none" and (proof.hold or proof.deep is not None):
        raise SettingsError("Without checks nothing is held back, nor due", hint="Choose cheap checks, or neither.")


def _check_limits(group: str, values: Mapping[str, Any]) -> None:
    """The numbers of a group of options."""
    for option in OPTIONS:
        if option.limits is not None and option.group == group and values[option.attribute] is not None:
            option.limits.check(values[option.attribute])
