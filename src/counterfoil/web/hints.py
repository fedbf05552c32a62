"""Translates hints: errors name commands and options of the command line; the page names its own controls."""

from __future__ import annotations

import re

#: Patterns in hints and their replacements on the page, applied in order.
_REPLACEMENTS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"See: counterfoil docs (\w+)", r"See the documentation, topic \1."),
        (r"List (?:its|the) runs[^:]*: counterfoil runs list .*", "Open the dataset’s History."),
        (r"Run: counterfoil runs list", "Open the page Runs."),
        (r"Run: counterfoil alerts list", "Open the page Alerts."),
        (r"Run: counterfoil tokens list", "Open the page API."),
        (r"Run: counterfoil \w+ list", "Open the Data Center."),
        (r"List its columns with: counterfoil reports --json", "See its columns in the form of a new dataset."),
        (r"List the reports with: counterfoil reports", "See the reports in the form of a new dataset."),
        (r"add it again: counterfoil alerts add", "add it again."),
        (r"Run it first: counterfoil run .*", "Run it first."),
        (r"Look at it with `counterfoil prove [^`]*`, and", "See the page Proof, and"),
        (r", or: counterfoil runs cancel \S+", ", or cancel it on the page Runs."),
        (r"counterfoil datasets resume .*", "Resume the dataset."),
        (r" with: counterfoil datasets reload .*", " with the command line or the API."),
        (r": counterfoil datasets edit --[a-z-]+", " in its Settings."),
        (r"Enter the key again: counterfoil accounts key .*", "Replace the key on the account’s page."),
        (r", then run: counterfoil accounts key .*", ", then replace the key on the account’s page."),
        (r"^counterfoil accounts key .*", "Replace the key on the account’s page."),
        (r"Add the key as a separate account: counterfoil accounts add", "Connect the key as a separate account."),
        (r": counterfoil accounts check .*", ", check the account again."),
        (r": counterfoil run .+ --allow-shrink", " with “Accept and load”."),
        (r"counterfoil run .+ --allow-shrink", "Accept and load the table on the dataset’s page."),
        (r"pass --overwrite to replace them with the first run", "let the first run replace them"),
        (r"^.*--(overwrite|table).*$", "Choose another table in the dataset’s Settings."),
        (r"Pass --yes to remove them too", "Select that they are removed too"),
        # Options of the command line are fields here.
        (r"(?<![\w-])--(?:option )?(?=[a-z])", ""),
    )
)


def on_page(hint: str | None) -> str:
    """The hint in terms of the page; empty for None."""
    text = hint or ""
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text
