"""`alerts`: an address comes by a pipe, a variable or a file, and is never printed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.hook import Hook, hook
from tests.cli.center import Center


@pytest.fixture
def service() -> Iterator[Hook]:
    with hook() as made:
        yield made


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    made = Center(tmp_path / "home", "http://127.0.0.1:9")
    yield made
    made.close()


def test_an_alert_from_its_making_to_its_end(
    center: Center, service: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = []
    monkeypatch.setattr("sys.stdin", io.StringIO(service.url + "\n"))
    said.append(center.do("alerts", "add", "Ops", "--on", "failed", "--on", "late", "--test"))
    assert [title for title, _ in service.came] == ["Counterfoil can reach you"]
    said.append(center.do("alerts", "list"))
    assert "failed, late" in said[-1].out
    said.append(center.do("alerts", "edit", "Ops", "--rename", "On call", "--on", "proof", "--json"))
    (told,) = said[-1].json
    assert (told["name"], told["kinds"], told["shown"]) == (
        "On call",
        ["proof"],
        f"json://me:****@127.0.0.1:{service.port}/…",
    )
    (tmp_path / "url").write_text(service.url)
    said.append(center.do("alerts", "edit", "On call", "--url-file", str(tmp_path / "url")))
    said.append(center.do("alerts", "test", "On call"))
    assert said[-1].out.startswith("On call: arrived at json://me:****@")
    said.append(center.do("alerts", "remove", "On call", "--yes"))
    said.append(center.do("alerts", "list"))
    assert "Nobody is told of anything yet" in said[-1].err
    assert {done.code for done in said} == {0}
    assert not any(secret in done.out + done.err for done in said for secret in ("s3cret", "hidden-path"))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("add", "X", "--url-env", "NOT_SET"), 2, "NOT_SET is not set"),
        (("add", "X", "--url-env", "ADDRESS", "--url-file", "x"), 2, "in more than one place"),
        (("add", "X", "--url-env", "ADDRESS"), 2, "That is no address"),
        (("edit", "Nobody", "--on", "late"), 2, "There is no alert 'Nobody'"),
        (("edit", "Nobody"), 2, "Nothing was given to change"),
        (("add", "X", "--on", "sometimes"), 2, "sometimes"),
        (("remove", "Nobody", "--yes"), 2, "There is no alert 'Nobody'"),
        (("test", "Nobody"), 2, "There is no alert 'Nobody'"),
    ],
)
def test_what_cannot_be_is_refused(center: Center, words: tuple[str, ...], code: int, told: str) -> None:
    done = center.do("alerts", *words, ADDRESS="s3cret://hidden-path")
    assert (done.code, told in done.err) == (code, True), done.err
    assert "hidden-path" not in done.err


def test_what_does_not_arrive_ends_with_one(center: Center, service: Hook) -> None:
    center.app.alerts.add("Ops", service.url)
    service.status = 500
    done = center.do("alerts", "test", "Ops")
    assert (done.code, "Nothing arrived at" in done.err) == (1, True)
