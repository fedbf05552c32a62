"""Validation of the values of a report's options."""

from __future__ import annotations

import re
from difflib import get_close_matches

from counterfoil.columns.money import is_currency
from counterfoil.errors import SettingsError
from counterfoil.reports.report import Option, Report


def checked_option(report: Report, name: str, value: str) -> str:
    """The value; SettingsError if the report has no such option or the value is invalid."""
    options = {option.name: option for option in report.options}
    if name not in options:
        near = get_close_matches(name, options, n=1)
        known = ", ".join(sorted(options))
        raise SettingsError(
            f"{report.title} has no option {name!r}",
            hint=(f"Did you mean {near[0]!r}? " if near else "")
            + (f"Use one of: {known}." if known else "Remove the option."),
        )
    _check_value(options[name], value)
    return value


def _check_value(option: Option, value: str) -> None:
    if option.choices and value not in option.choices:
        raise SettingsError(
            f"invalid value of the option {option.name}: {value!r}", hint=f"Use one of: {', '.join(option.choices)}."
        )
    if option.pattern == "currency" and not is_currency(value):
        raise SettingsError(
            f"unknown currency: {value!r}",
            hint="Use a three-letter code in lower case, such as usd.",
        )
    if option.pattern == "id" and not re.fullmatch(r"[A-Za-z0-9_.-]{1,255}", value):
        raise SettingsError(f"invalid value of the option {option.name}: {value!r}", hint="Use Stripe's spelling.")
