"""Hints on the page name its controls, and no commands or options of the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import counterfoil
from counterfoil.web.hints import on_page

ROOT = Path(counterfoil.__file__).parent
#: Packages whose texts the page does not show, and the page itself.
_ELSEWHERE = ("cli", "sandbox", "web")
_COMMAND = re.compile(r"(?<![\w-])--[a-z]|counterfoil [a-z]+")
#: Commands for the operator who starts the program.
_OF_THE_PROGRAM = re.compile(r"counterfoil (that|state upgrade|serve|processes|and restore)|upgrade counterfoil$")


def texts() -> Iterator[str]:
    """The string literals of every other package without docstrings; `x` stands for an inserted value."""
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


def test_hints_on_the_page_contain_no_commands() -> None:
    found = [text for text in texts() if _COMMAND.search(text) and not _OF_THE_PROGRAM.search(text)]
    assert len(found) > 20
    left = [(text, on_page(text)) for text in found if _COMMAND.search(on_page(text))]
    assert not left


@pytest.mark.parametrize(
    ("hint", "control"),
    [
        ("counterfoil datasets resume Charges of 'A & B'", "Resume the dataset"),
        ("Wait for it, or: counterfoil runs cancel run_1", "the page Runs"),
        ("Load the rest from the archive: counterfoil run 'A B' --allow-shrink", "“Accept and load”"),
        ("Did you mean 'Charges'? Run: counterfoil datasets list", "'Charges'? Open the Data Center"),
        ("List the runs of this dataset: counterfoil runs list 'A B'", "History"),
        ("Run: counterfoil tokens list", "the page API"),
        ("The key was lost. Enter the key again: counterfoil accounts key 'A B'", "the account’s page"),
        ("Choose another table, or pass --overwrite to replace them with the first run.", "let the first run"),
        ("Choose another table, or pass --overwrite to replace this one.", "the dataset’s Settings"),
    ],
)
def test_hint_names_a_control_of_the_page(hint: str, control: str) -> None:
    assert control in on_page(hint)
    assert not _COMMAND.search(on_page(hint))


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("For example: --option status=all", "For example: status=all"),
        ("--until 2027-01-01 is not after --since 2027-01-02", "until 2027-01-01 is not after since 2027-01-02"),
        ("Wait -- then try a--b again.", "Wait -- then try a--b again."),
        (None, ""),
    ],
)
def test_options_become_names_of_fields(hint: str | None, shown: str) -> None:
    assert on_page(hint) == shown
