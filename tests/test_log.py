"""No line of ours holds a secret of Stripe's."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from counterfoil import logging as log

SECRETS = (
    "sk_live_51H8abcdefGHIJKL",
    "sk_test_51H8abcdefGHIJKL",
    "rk_live_51H8abcdefGHIJKL",
    "rk_test_51H8abcdefGHIJKL",
    "rkcs_test_51H8abcdefGHIJKL",
    "sk_org_live_51H8abcdefGHIJKL",
    "whsec_51H8abcdefGHIJKL",
)


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    yield
    log.configure("text", level=logging.WARNING)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_never_reaches_a_line(secret: str, style: log.Style, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(style)
    log.get_logger("test").info(f"the key {secret} is bad", key=secret, cause=ValueError(f"with {secret}"))
    line = capsys.readouterr().err
    assert "51H8" not in line
    assert line.count("…" if style == "text" else "\\u2026") == 3 or line.count("…") == 3


@pytest.mark.parametrize("url", [
    "postgresql://me:hunter2@host/x", "postgresql://me:hun:ter2@host:5432/x?schema=s", "postgresql://:hunter2@/x",
    "to postgresql:///x?host=/run&password=hunter2&user=me,", "postgresql://host/x?sslpassword=hunter2",
    "domo://me:hunter2@api.domo.com", "domo://me@api.domo.com?prefix=x&secret=hunter2",
])  # fmt: skip
def test_the_password_of_a_url_is_left_out(url: str) -> None:
    told = log.redacted(url)
    assert "hun" not in told
    assert "…" in told
    assert told.replace("…", "") in url.replace("hunter2", "").replace("hun:ter2", "")


def test_text_without_a_secret_is_left_as_it_is() -> None:
    for text in (
        "ask_for task_live_data risk_test sk_ test",
        "http://127.0.0.1:8321/x?y=a:b@c",
        "json://me:****@127.0.0.1:80/",
        "postgresql://me@host:5432/x?password=env:NAME&sslpassword=file:/x",
        "domo://me@api.domo.com?secret=env:NAME",
    ):
        assert log.redacted(text) == text


def test_a_library_says_warnings_only_and_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logger = log.get_logger("test")
    logger.info("not said")
    logger.warning("said")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "said" in printed.err
    assert "not said" not in printed.err


def test_json_lines_are_one_object_each(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    log.get_logger("test").info("first", rows=3)
    assert json.loads(capsys.readouterr().err)["rows"] == 3


def test_a_command_prints_warnings_plainly(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure_command("text")
    logger = log.get_logger("test")
    logger.info("not for a person")
    logger.warning("asking Stripe again", attempt=3, request_id="req_1")
    assert capsys.readouterr().err == "warning: asking Stripe again (attempt: 3)\n"
    log.configure_command("json")
    logger.warning("asking Stripe again", attempt=3)
    assert json.loads(capsys.readouterr().err)["attempt"] == 3
