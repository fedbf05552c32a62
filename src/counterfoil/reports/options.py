"""Whether a value may be given for a report's option."""

from __future__ import annotations

import re
from difflib import get_close_matches

from counterfoil.columns.money import is_currency
from counterfoil.errors import SettingsError
from counterfoil.reports.report import Option, Report


def checked_option(report: Report, name: str, value: str) -> str:
    """The value; SettingsError names the option or the value that is wrong, and what would be right."""
    options = {option.name: option for option in report.options}
    if name not in options:
        near = get_close_matches(name, options, n=1)
        known = ", ".join(sorted(options))
        raise SettingsError(
            f"{report.title} has no option {name!r}",
            hint=(f"Did you mean {near[0]!r}? " if near else "")
            + (f"It has: {known}." if known else "It has no options."),
        )
    _check_value(options[name], value)
    return value


def _check_value(option: Option, value: str) -> None:
    if option.choices and value not in option.choices:
        raise SettingsError(
            f"{value!r} is no choice of the option {option.name}", hint=f"Choose one of: {', '.join(option.choices)}."
        )
    if option.pattern == "currency" and not is_currency(value):
        raise SettingsError(
            f"{value!r} is not a currency that Stripe knows",
            hint="Give a three-letter code in lower case, such as usd.",
        )
    if option.pattern == "id" and not re.fullmatch(r"[A-Za-z0-9_.-]{1,255}", value):
        raise SettingsError(f"{value!r} can't be the value of {option.name}", hint="Give Stripe's own spelling.")
