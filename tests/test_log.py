"""Log lines: formats, levels and redacted secrets."""

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
def _restored_log_format() -> Iterator[None]:
    yield
    log.configure("text", level=logging.WARNING)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("style", ["text", "json"])
def test_log_line_contains_no_secret(secret: str, style: log.Style, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_password_of_url_is_redacted(url: str) -> None:
    redacted = log.redacted(url)
    assert "hun" not in redacted
    assert "…" in redacted
    assert redacted.replace("…", "") in url.replace("hunter2", "").replace("hun:ter2", "")


def test_text_without_secret_is_unchanged() -> None:
    for text in (
        "ask_for task_live_data risk_test sk_ test",
        "http://127.0.0.1:8321/x?y=a:b@c",
        "json://me:****@127.0.0.1:80/",
        "postgresql://me@host:5432/x?password=env:NAME&sslpassword=file:/x",
        "domo://me@api.domo.com?secret=env:NAME",
    ):
        assert log.redacted(text) == text


def test_library_logs_only_warnings_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logger = log.get_logger("test")
    logger.info("hidden")
    logger.warning("shown")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "shown" in printed.err
    assert "hidden" not in printed.err


def test_json_log_line_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    log.get_logger("test").info("first", rows=3)
    assert json.loads(capsys.readouterr().err)["rows"] == 3


def test_command_prints_warnings_as_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure_command("text")
    logger = log.get_logger("test")
    logger.info("hidden")
    logger.warning("request retried", attempt=3, request_id="req_1")
    assert capsys.readouterr().err == "warning: request retried (attempt: 3)\n"
    log.configure_command("json")
    logger.warning("request retried", attempt=3)
    assert json.loads(capsys.readouterr().err)["attempt"] == 3
