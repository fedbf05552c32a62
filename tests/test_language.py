"""The language of the project: prose, messages, comments and names of tests, checked against tests/language.toml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RULES: dict[str, Any] = tomllib.loads((ROOT / "tests/language.toml").read_text(encoding="utf-8"))
SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".toml"}
#: Copied or generated files.
_NOT_OURS = re.compile(r"\.min\.|web/static/app\.css|docs/reports\.md")
_MOST_EXCEPTIONS = 100
_WORDS = {pattern: re.compile(pattern, re.IGNORECASE) for pattern in RULES["replace"]}


@dataclass(frozen=True, slots=True)
class Exception_:
    """A place where a phrase may stay. Without `text`, the whole file."""

    file: str
    reason: str
    text: str = ""

    def covers(self, file: str, line: str) -> bool:
        return self.file == file and self.text in line


EXCEPTIONS = [Exception_(**each) for each in RULES["exception"]]


def _files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.splitlines() or [str(one.relative_to(ROOT)) for one in ROOT.glob("*.md")]
    return [one for one in names if Path(one).suffix in SUFFIXES and not _NOT_OURS.search(one)]


def _hits(file: str) -> Iterator[tuple[int, str, str]]:
    """The number of the line, the phrase and what to write instead."""
    path = ROOT / file
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if any(one.covers(file, line) for one in EXCEPTIONS):
            continue
        text = line.replace("_", " ") if "def test_" in line else line
        for pattern, found in ((pattern, word.search(text)) for pattern, word in _WORDS.items()):
            if found:
                yield number, found.group(), RULES["replace"][pattern]


def test_plain_english_everywhere() -> None:
    places = [f'{file}:{number}: "{text}": write {better}' for file in _files() for number, text, better in _hits(file)]
    assert not places, "\n".join(places)


def test_exceptions_are_few_and_used() -> None:
    assert len(EXCEPTIONS) < _MOST_EXCEPTIONS
    for one in EXCEPTIONS:
        assert one.reason.endswith(".")
        lines = (ROOT / one.file).read_text(encoding="utf-8").splitlines()
        assert any(word.search(line) for line in lines if one.text in line for word in _WORDS.values()), one


#: A message starts with a lower-case letter, except with these words, an option, a variable or a value.
_NAMES = {
    "Stripe",
    "Domo",
    "Postgres",
    "Snowflake",
    "BigQuery",
    "DuckDB",
    "TOML",
    "SQL",
    "URL",
    "API",
    "JSON",
    "Counterfoil",
}
_ENDS = re.compile(r"(\.|…|›|\?|\w+://\S+|: \S.*)$")


def _messages() -> list[Any]:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from error_catalogue import messages
    finally:
        sys.path.pop(0)
    return list(messages())


@pytest.fixture(scope="module")
def messages() -> list[Any]:
    return _messages()


def test_messages_are_one_phrase(messages: list[Any]) -> None:
    assert len(messages) > 300
    wrong = []
    for one in messages:
        first = re.split(r"[ ']", one.text)[0]
        upper = (
            first[:1].isupper() and first not in _NAMES and not re.fullmatch(r"[A-Z][A-Z_0-9‹›a-z:]*[_A-Z‹›:]+", first)
        )
        if upper or one.text.endswith((".", "!")) or ".." in one.text.replace("...", ""):
            wrong.append(one)
    assert wrong == []


def test_hints_are_next_steps(messages: list[Any]) -> None:
    wrong = [
        one
        for one in messages
        if one.hint and (not (one.hint[0].isupper() or one.hint[0] in "‹'\"`") or not _ENDS.search(one.hint))
    ]
    assert wrong == []


def test_messages_name_no_file_of_the_repository(messages: list[Any]) -> None:
    assert [one for one in messages if re.search(r"docs/\w+\.md", one.text + one.hint)] == []
