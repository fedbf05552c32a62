"""Validates a dataset before it is stored. Needs only the catalogue of reports; SettingsError says what to change."""

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
    """Checks all fields of a dataset against its report and against each other."""
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
        raise SettingsError("the description is too long", hint="Use at most 2,000 characters.")
    for name in ("name", "description"):
        if redacted(values[name]) != values[name]:
            raise SettingsError(f"the {name} contains a Stripe key", hint="Remove the key; users can read this text.")


def check_method(report: Report, method: Method, partition: Partition | None) -> None:
    """Checks that the report supports the method, and that the partition matches both."""
    if method not in report.methods:
        reason = " has no creation time to partition by" if method == "partition" else f" does not support {method!r}"
        raise SettingsError(f"{report.title}{reason}", hint=f"Use one of: {', '.join(report.methods)}.")
    if (partition is not None) != (method == "partition"):
        if partition is None:
            raise SettingsError("the partition method requires a period", hint="Use a period, such as 3 months.")
        raise SettingsError(
            f"the {method} method does not support a period", hint="Use the partition method, or omit the period."
        )
    if partition is not None:
        if partition.unit not in _MOST:
            raise SettingsError(f"invalid period: {partition.unit!r}", hint=f"Use one of: {', '.join(_MOST)}.")
        most, unit = _MOST[partition.unit], f"{partition.unit}s"
        Limits(subject="period", least=1, most=most, unit=unit).check(partition.last)


def check_merge(method: Method, merge: Merge | None) -> None:
    """Checks that the options of a merge match the method, and their values."""
    if merge is None:
        return
    if method != "merge":
        raise SettingsError(
            f"the options deleted, history and reread_days require the merge method, not {method}",
            hint="Use the merge method, or omit these options.",
        )
    if merge.deleted not in ("keep", "drop"):
        raise SettingsError(f"invalid option for deleted rows: {merge.deleted!r}", hint="Use keep or drop.")
    _check_limits("merge", asdict(merge))


def check_choice(report: Report, choice: Choice, method: Method) -> None:
    """Checks the choice against the report and the method."""
    for name, value in choice.options.items():
        checked_option(report, name, value)
    choose(report, promoted=choice.promoted, left_out=choice.left_out, hashed=choice.hashed)
    bounds = [
        word
        for word, value in (("since", choice.since), ("until", choice.until), ("last days", choice.last_days))
        if value is not None
    ]
    if bounds and report.created is None:
        raise SettingsError(f"{report.title} has no creation time to filter by", hint=f"Omit {' and '.join(bounds)}.")
    if bounds and method == "partition":
        raise SettingsError(
            f"the partition method does not support {' and '.join(bounds)}",
            hint="Use only the period of the partition, or another method.",
        )
    if choice.last_days is not None:
        if len(bounds) > 1:
            raise SettingsError(
                f"the last {choice.last_days} days can't be used with since or until", hint="Use one of the two."
            )
        _check_limits("choice", asdict(choice))
    if choice.since is not None and choice.until is not None and choice.until <= choice.since:
        raise SettingsError(
            f"until {choice.until} is not after since {choice.since}",
            hint="Use a later until; the range excludes it.",
        )


def check_targets(targets: tuple[Target, ...]) -> None:
    """Checks the URL and the table name of each target, but not whether the destination exists."""
    if not targets:
        raise SettingsError("the dataset has no destination", hint="Add one, such as duckdb:///stripe.duckdb.")
    for target in targets:
        if not re.match(r"[a-z][a-z0-9+]*:", target.url):
            raise SettingsError(
                f"invalid destination: {redacted(target.url)!r}", hint="Use a URL such as duckdb:///stripe.duckdb."
            )
        if redacted(target.url) != target.url:
            raise SettingsError(
                f"{redacted(target.url)} contains a password, but destinations are stored and shown in plain text",
                hint="Replace it with a reference (?password=env:NAME or ?password=file:/path), or use ~/.pgpass; "
                "for Domo, use ?secret=env:NAME.",
            )
        check_table_name(target.table, target.url)


def check_proof(proof: Proof, *, least_minutes: int) -> None:
    """Checks the names of the checks, and the schedule of the deep ones."""
    if proof.after not in get_args(After):
        raise SettingsError(f"invalid checks: {proof.after!r}", hint=f"Use one of: {', '.join(get_args(After))}.")
    if proof.deep is not None:
        check(proof.deep, least_minutes=least_minutes)
    if proof.after == "none" and (proof.hold or proof.deep is not None):
        raise SettingsError("hold and deep checks can't be used without checks", hint="Use cheap checks, or omit both.")


def _check_limits(group: str, values: Mapping[str, Any]) -> None:
    """Checks the numbers of a group of options."""
    for option in OPTIONS:
        if option.limits is not None and option.group == group and values[option.attribute] is not None:
            option.limits.check(values[option.attribute])
