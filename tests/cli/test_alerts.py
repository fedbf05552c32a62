"""The commands of `alerts`: they read a URL from a pipe, a variable or a file, and never print it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.hook import Hook, hook
from tests.cli.center import Center


@pytest.fixture
def service() -> Iterator[Hook]:
    with hook() as listening:
        yield listening


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    opened = Center(tmp_path / "home", "http://127.0.0.1:9")
    yield opened
    opened.close()


def test_alert_is_added_listed_edited_tested_and_removed(
    center: Center, service: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results = []
    monkeypatch.setattr("sys.stdin", io.StringIO(service.url + "\n"))
    results.append(center.do("alerts", "add", "Ops", "--on", "failed", "--on", "late", "--test"))
    assert [title for title, _ in service.came] == ["Counterfoil test message"]
    results.append(center.do("alerts", "list"))
    assert "failed, late" in results[-1].out
    results.append(center.do("alerts", "edit", "Ops", "--rename", "On call", "--on", "proof", "--json"))
    (edited,) = results[-1].json
    assert (edited["name"], edited["kinds"], edited["shown"]) == (
        "On call",
        ["proof"],
        f"json://me:****@127.0.0.1:{service.port}/…",
    )
    (tmp_path / "url").write_text(service.url)
    results.append(center.do("alerts", "edit", "On call", "--url-file", str(tmp_path / "url")))
    results.append(center.do("alerts", "test", "On call"))
    assert "On call (json://me:****@" in results[-1].out
    results.append(center.do("alerts", "remove", "On call", "--yes"))
    results.append(center.do("alerts", "list"))
    assert "counterfoil alerts add NAME" in results[-1].err
    assert {result.code for result in results} == {0}
    assert not any(secret in result.out + result.err for result in results for secret in ("s3cret", "hidden-path"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("add", "X", "--url-env", "NOT_SET"), "NOT_SET"),
        (("add", "X", "--url-env", "ADDRESS", "--url-file", "x"), "--url-env and --url-file"),
        (("add", "X", "--url-env", "ADDRESS"), "invalid alert URL"),
        (("edit", "Unknown", "--on", "late"), "'Unknown' not found"),
        (("edit", "Unknown"), "--rename, --on, --url-env"),
        (("add", "X", "--on", "sometimes"), "sometimes"),
        (("remove", "Unknown", "--yes"), "'Unknown' not found"),
        (("test", "Unknown"), "'Unknown' not found"),
    ],
)
def test_invalid_arguments_are_rejected(center: Center, arguments: tuple[str, ...], expected: str) -> None:
    done = center.do("alerts", *arguments, ADDRESS="s3cret://hidden-path")
    assert (done.code, expected in done.err) == (2, True), done.err
    assert "hidden-path" not in done.err


def test_undelivered_test_message_exits_with_one(center: Center, service: Hook) -> None:
    center.app.alerts.add("Ops", service.url)
    service.status = 500
    done = center.do("alerts", "test", "Ops")
    assert (done.code, f"127.0.0.1:{service.port}" in done.err) == (1, True)
