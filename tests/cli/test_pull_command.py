"""`pull` in a pipe and in a terminal, interrupted, and with errors."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil.app.connection import catalogue
from counterfoil.cli import run
from counterfoil.cli.terminal.screen import printable
from stripe_sandbox import Sandbox

CHILDREN = ["invoice_line_items", "subscription_items", "application_fee_refunds", "transfer_reversals"]

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1) as serving:
        yield serving


@pytest.fixture(autouse=True)
def _environment(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_demo")
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect("counterfoil.duckdb", read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _start(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COUNTERFOIL, *arguments], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _run_in_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """Runs the command in a terminal and answers its first question; returns the exit code and the output."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen([COUNTERFOIL, *arguments], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    try:
        while chunk := os.read(controller, 65_536):
            seen += chunk
            if answer and seen.rstrip().endswith(b"[y/N]"):
                os.write(controller, answer.encode())
                answer = ""
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(controller)
    return process.wait(30), re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", seen.decode())


def test_closed_pipe_stops_output_but_not_the_load() -> None:
    process = _start("pull", "all")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"account:")
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 0, errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert _rows("SELECT count(*) FROM subscriptions")[0][0] > 0


@pytest.mark.parametrize("arguments", [("pull", "--help"), ("reports",), ("reports", "--json"), ("--version",)])
def test_closed_stdout_is_not_an_error(arguments: tuple[str, ...]) -> None:
    process = _start(*arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), errors) == (0, b"")


def test_narrowed_replace_asks_for_confirmation_with_dates() -> None:
    assert run(["pull", "coupons"]) == 0
    before = _rows("SELECT count(*) FROM coupons")
    arguments = ("pull", "coupons", "--since", "2026-10-25", "--until", "2026-10-26T09:30:00Z")
    code, seen = _run_in_terminal("n\n", *arguments)
    assert code == 1
    assert "(since 2026-10-25, until 2026-10-26T09:30:00Z)? [y/N] n\n" in seen
    assert re.search(r"^Aborted\.", seen, re.MULTILINE)
    assert "error" not in seen
    assert "--overwrite" not in seen
    assert _rows("SELECT count(*) FROM coupons") == before


def test_confirmed_replace_deletes_other_rows() -> None:
    assert run(["pull", "coupons"]) == 0
    code, seen = _run_in_terminal("y\n", "pull", "coupons", "--limit", "1")
    assert code == 0, seen
    assert "the newest 1" in seen
    assert _rows("SELECT count(*) FROM coupons") == [(1,)]


def test_pull_all_asks_once_for_all_tables() -> None:
    assert run(["pull", "coupons"]) == 0
    assert run(["pull", "plans"]) == 0
    code, seen = _run_in_terminal("n\n", "pull", "all", "--limit", "1")
    assert code == 1
    assert seen.count("[y/N]") == 1
    assert "coupons: skipped." in seen
    assert "plans: skipped." in seen
    assert _rows("SELECT count(*) FROM charges") == [(1,)]
    code, seen = _run_in_terminal("y\n", "pull", "all", "--limit", "1")
    assert code == 0
    assert seen.count("[y/N]") == 1
    assert _rows("SELECT count(*) FROM plans") == [(1,)]


def test_pull_all_warns_about_each_report_without_creation_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "all", "--since", "2026-10-25"]) == 0
    warnings = capsys.readouterr().err.splitlines()
    unbounded = [line.split(":")[0] for line in warnings if "bounds ignored" in line]
    assert unbounded == ["account", "balance", "discounts", "upcoming_invoices", "recipients", *CHILDREN]
    assert any(line.startswith("recipients: ") and "retired by Stripe" in line for line in warnings)
    assert all(re.match(r"[a-z_]+: ", line) for line in warnings)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("pull", "charges"), "sk_test_unknown12345"),
        (("pull", "charges"), ""),
        (("pull", "charges", "--since", "yesterday"), "sk_test_demo"),
        (("pull", "charge"), "sk_test_demo"),
    ],
)
def test_failure_is_printed_as_json(
    arguments: tuple[str, ...], key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", key)
    assert run([*arguments, "--json"]) > 1
    printed = capsys.readouterr()
    failure = json.loads(printed.out)
    assert failure["report"] == failure["table"] == arguments[1]
    assert failure["destination"].endswith("counterfoil.duckdb")
    assert printed.err.startswith(f"error: {failure['error']}")


def test_failure_reports_requests_and_seconds(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.control("faults", fault="should_not_retry", path="/v1/charges")
    try:
        assert run(["pull", "charges", "--table", "mine", "--json"]) == 1
    finally:
        sandbox.control("faults", clear=True)
    failure = json.loads(capsys.readouterr().out)
    assert failure["table"] == "mine"
    assert failure["requests"] > 0
    assert failure["seconds"] > 0
    assert failure["error"]


def test_rejected_key_prints_one_object_per_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_unknown12345")
    assert run(["pull", "all", "--json"]) == 3
    printed = capsys.readouterr()
    failures = [json.loads(line) for line in printed.out.splitlines()]
    assert tuple(one["report"] for one in failures) == catalogue()
    assert all("Stripe rejected" in one["error"] for one in failures)
    assert [one["requests"] for one in failures] == [1] + [0] * (len(failures) - 1)
    assert printed.err.count("error: ") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_prints_how_to_resume(number: signal.Signals, code: int, sandbox: Sandbox) -> None:
    sandbox.control("faults", fault="hold", path="/v1/charges", skip=1)
    try:
        process = _start("pull", "charges")
        while not list(Path("home/archive").glob("pull-*/pages.spool")) or _spooled() < 100:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        sandbox.control("faults", clear=True)
    assert process.returncode == code
    assert out == b""
    interrupted, hint = err.decode().splitlines()
    assert interrupted.startswith("Interrupted.")
    assert "--resume" in hint


def _spooled() -> int:
    return sum(spool.stat().st_size for spool in Path("home/archive").glob("pull-*/pages.spool"))


def test_characters_outside_terminal_encoding_are_escaped() -> None:
    process = _start("pull", "coupons", "--table", "cafés", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert rb"caf\xe9s" in out


def test_control_characters_in_names_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "coupons", "--table", "a\x1b[31mred"]) == 2
    assert run(["pull", "coupons", "--to", "\x1b[31m"]) == 2
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert r"a\x1b[31mred" in printed.err
    assert printable("two\nlines") == "two\nlines"


def test_one_row_is_counted_in_singular(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "coupons", "--limit", "1"]) == 0
    assert re.match(r"coupons: 1 row, 25 columns .*\(1 request, ", capsys.readouterr().out)


def test_deleted_working_folder_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deleted = tmp_path / "deleted"
    deleted.mkdir()
    os.chdir(deleted)
    deleted.rmdir()
    for arguments in (["pull", "coupons"], ["demo", "--once"]):
        assert run(arguments) == 2
        assert "cd ~" in capsys.readouterr().err
    os.chdir(tmp_path)
