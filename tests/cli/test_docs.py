"""`docs` lists the topics of the documentation and prints a topic; hints in messages name existing topics."""

from __future__ import annotations

import ast
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterfoil.cli import run

ROOT = Path(__file__).resolve().parents[2]
COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))
DOCS = {file.stem: file for file in sorted((ROOT / "docs").glob("*.md"))}
#: The topic of a hint; in a docstring, it may be on the next line.
HINT = re.compile(r"See:\s+counterfoil\s+docs\s+([\w-]+)")


def test_topics_are_listed_with_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs"]) == 0
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    titles = {topic: file.read_text(encoding="utf-8").splitlines()[0] for topic, file in DOCS.items()}
    assert {topic: f"# {title}" for topic, title in listed.items()} == titles
    assert {"runs", "settings", "errors"} <= listed.keys()


@pytest.mark.parametrize("topic", DOCS)
def test_topic_is_printed_to_pipe_without_generator_comments(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", topic]) == 0
    printed = capsys.readouterr()
    text = DOCS[topic].read_text(encoding="utf-8")
    assert printed.err == ""
    assert printed.out.splitlines()[0] == text.splitlines()[0]
    assert "<!--" not in printed.out
    assert "[[[cog" not in printed.out
    without_comments = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    assert printed.out.split() == without_comments.split()


def test_topic_is_formatted_on_terminal() -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "PAGER": "cat", "TERM": "xterm"}
    process = subprocess.Popen(
        [COUNTERFOIL, "docs", "glossary"], stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    seen = b""
    try:
        while chunk := os.read(controller, 65_536):
            seen += chunk
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(controller)
    assert process.wait(30) == 0
    title = DOCS["glossary"].read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    assert title in seen.decode()
    assert f"# {title}" not in seen.decode()


@pytest.mark.parametrize(
    ("topic", "suggestion"), [("destination", "'destinations'"), ("setings", "'settings'"), ("../README", None)]
)
def test_unknown_topic_is_rejected_with_suggestion(
    topic: str, suggestion: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["docs", topic]) == 2
    printed = capsys.readouterr()
    error, hint = printed.err.splitlines()
    assert printed.out == ""
    assert repr(topic) in error
    assert hint.endswith(": counterfoil docs")
    if suggestion is None:
        assert "Did you mean" not in hint
    else:
        assert f"Did you mean {suggestion}?" in hint


def _strings(file: Path) -> Iterator[str]:
    """The strings of a module; adjacent literals are one string."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_hint_names_an_existing_topic() -> None:
    found = {
        (str(file.relative_to(ROOT)), topic)
        for file in (ROOT / "src").rglob("*.py")
        for text in _strings(file)
        for topic in HINT.findall(text)
    }
    assert len(found) > 10
    assert [(file, topic) for file, topic in sorted(found) if topic not in DOCS] == []
