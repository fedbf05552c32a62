"""Hints of calls name commands and flags; on the page they say what to do there."""

from __future__ import annotations

import re

#: What a hint says, and what the page says instead; one after the other.
_SAID = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"`counterfoil runs list` shows them", "The page Runs shows them"),
        (r"`counterfoil alerts list` shows", "The page Alerts shows"),
        (r"add it again: counterfoil alerts add", "add it again."),
        (r"`counterfoil tokens list` shows", "The list shows"),
        (r"`counterfoil \w+ list` shows", "The Data Center shows"),
        (r"`counterfoil reports( --json)?` lists", "The form of a new dataset lists"),
        (r"See which there are: counterfoil runs list .*", "Its History shows which there are."),
        (r"Its own: counterfoil runs list .*", "Its History has its own."),
        (r"Run it first: counterfoil run .*", "Run it first."),
        (r"Look at it with `counterfoil prove [^`]*`, and", "Look at it under Proof, and"),
        (r"That is a dataset; its runs: counterfoil runs list .*", "That is a dataset; its History has its runs."),
        (r", or: counterfoil runs cancel \S+", ", or cancel it under Runs."),
        (r"counterfoil datasets resume .*", "Resume it, and it runs again from its next time on."),
        (r": counterfoil datasets edit --[a-z-]+", ", in its Settings."),
        (r"Enter the key again: counterfoil accounts key .*", "Replace the key on the account’s page."),
        (r" Then: counterfoil accounts key .*", " Then replace it on the account’s page."),
        (r"takes: counterfoil accounts key .*", "takes, on the account’s page."),
        (r"^counterfoil accounts key .*", "Replace the key on the account’s page."),
        (r"Add the key as an account of its own: counterfoil accounts add", "Connect it as an account of its own."),
        (r": counterfoil accounts check .*", ", check the account again."),
        (r": counterfoil run .+ --allow-shrink", ", with “Accept and load”."),
        (r"counterfoil run .+ --allow-shrink", "Accept and load the table on the dataset’s page."),
        (r"`counterfoil datasets reload [^`]*` lets", "a reload by the command line or the API lets"),
        (r"say --overwrite to replace them with the first run", "let the first run replace them"),
        (r"^.*--(overwrite|table).*$", "Choose another table in the dataset’s Settings."),
        (r"Say --yes to remove them too", "Tick that they are removed too"),
        # What is a flag on the command line is a field here.
        (r"(?<![\w-])--(?:option )?(?=[a-z])", ""),
    )
)


def on_page(hint: str | None) -> str:
    """The hint in the page's words; nothing when there is none."""
    text = hint or ""
    for pattern, said in _SAID:
        text = pattern.sub(said, text)
    return text
