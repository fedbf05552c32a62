"""Hints in the page's words: whatever the calls say, no command and no flag is left in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import counterfoil
from counterfoil.web.hints import on_page

ROOT = Path(counterfoil.__file__).parent
#: What only the command line shows, and the sandbox, which is not ours.
_ELSEWHERE = ("cli", "sandbox", "web")
_COMMAND = re.compile(r"(?<![\w-])--[a-z]|counterfoil [a-z]+")
#: These speak of the program, to whoever starts it.
_OF_THE_PROGRAM = re.compile(
    r"counterfoil (that|did|keeps|state upgrade|serve|processes|and restore)|upgrade counterfoil$"
)


def texts() -> Iterator[str]:
    """The strings of every room below the page, less docstrings; `x` stands for what is filled in."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] in _ELSEWHERE:
            continue
        tree = ast.parse(path.read_text())
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        plain = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) in inside | plain:
                continue
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_no_hint_of_a_call_names_a_command_on_the_page() -> None:
    found = [text for text in texts() if _COMMAND.search(text) and not _OF_THE_PROGRAM.search(text)]
    assert len(found) > 20
    left = [(text, on_page(text)) for text in found if _COMMAND.search(on_page(text))]
    assert not left


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("counterfoil datasets resume Charges of 'A & B'", "Resume it, and it runs again from its next time on."),
        ("Wait for it, or: counterfoil runs cancel run_1", "Wait for it, or cancel it under Runs."),
        (
            "Load the rest without reading Stripe again: counterfoil run 'A B' --allow-shrink",
            "Load the rest without reading Stripe again, with “Accept and load”.",
        ),
        (
            "Did you mean 'Charges'? `counterfoil datasets list` shows them all.",
            "Did you mean 'Charges'? The Data Center shows them all.",
        ),
        (
            "The key was lost. Enter the key again: counterfoil accounts key 'A B'",
            "The key was lost. Replace the key on the account’s page.",
        ),
        (
            "Choose another table, or say --overwrite to replace them with the first run.",
            "Choose another table, or let the first run replace them.",
        ),
        (
            "Choose another table, or say that it may be overwritten (--overwrite).",
            "Choose another table in the dataset’s Settings.",
        ),
        ("For example: --option status=all", "For example: status=all"),
        ("--until 2027-01-01 is not after --since 2027-01-02", "until 2027-01-01 is not after since 2027-01-02"),
        ("Wait -- then try a--b again.", "Wait -- then try a--b again."),
        (None, ""),
    ],
)
def test_a_hint_says_what_to_do_on_the_page(hint: str | None, said: str) -> None:
    assert on_page(hint) == said
