"""`pull` as it is started: in a pipe, at a terminal, stopped, and refused."""

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


def _started(*words: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COUNTERFOIL, *words], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _at_a_terminal(answer: str, *words: str) -> tuple[int, str]:
    """The command with a person at the terminal, who answers the first question."""
    person, terminal = pty.openpty()
    process = subprocess.Popen([COUNTERFOIL, *words], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""
    try:
        while chunk := os.read(person, 65_536):
            seen += chunk
            if answer and seen.rstrip().endswith(b"[y/N]"):
                os.write(person, answer.encode())
                answer = ""
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(person)
    return process.wait(30), re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", seen.decode())


def test_a_reader_that_goes_away_stops_the_printing_and_not_the_loading() -> None:
    process = _started("pull", "all")
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"account:")
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 0, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert _rows("SELECT count(*) FROM subscriptions")[0][0] > 0


@pytest.mark.parametrize("words", [("pull", "--help"), ("reports",), ("reports", "--json"), ("--version",)])
def test_a_reader_that_is_not_there_is_no_error(words: tuple[str, ...]) -> None:
    process = _started(*words)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), said) == (0, b"")


def test_a_narrowed_replace_asks_on_a_line_of_its_own_with_dates() -> None:
    assert run(["pull", "coupons"]) == 0
    before = _rows("SELECT count(*) FROM coupons")
    words = ("pull", "coupons", "--since", "2026-10-25", "--until", "2026-10-26T09:30:00Z")
    code, seen = _at_a_terminal("n\n", *words)
    assert code == 1
    assert "(since 2026-10-25, until 2026-10-26T09:30:00Z)? [y/N] n" in seen
    assert re.search(r"^Left as it was\.$", seen, re.MULTILINE)
    assert "error" not in seen
    assert "--overwrite" not in seen
    assert _rows("SELECT count(*) FROM coupons") == before


def test_a_yes_replaces() -> None:
    assert run(["pull", "coupons"]) == 0
    code, seen = _at_a_terminal("y\n", "pull", "coupons", "--limit", "1")
    assert code == 0, seen
    assert "the newest 1" in seen
    assert _rows("SELECT count(*) FROM coupons") == [(1,)]


def test_of_all_tables_is_asked_once() -> None:
    assert run(["pull", "coupons"]) == 0
    assert run(["pull", "plans"]) == 0
    code, seen = _at_a_terminal("n\n", "pull", "all", "--limit", "1")
    assert code == 1
    assert seen.count("[y/N]") == 1
    assert "coupons: left as it was." in seen
    assert "plans: left as it was." in seen
    assert _rows("SELECT count(*) FROM charges") == [(1,)]
    code, seen = _at_a_terminal("y\n", "pull", "all", "--limit", "1")
    assert code == 0
    assert seen.count("[y/N]") == 1
    assert _rows("SELECT count(*) FROM plans") == [(1,)]


def test_each_notice_names_its_report_and_those_that_all_can_not_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "all", "--since", "2026-10-25"]) == 0
    said = capsys.readouterr().err.splitlines()
    whole = [line.split(":")[0] for line in said if "read whole" in line]
    assert whole == ["account", "balance", "discounts", "upcoming_invoices", "recipients", *CHILDREN]
    assert any(line.startswith("recipients: ") and "retired by Stripe" in line for line in said)
    assert all(re.match(r"[a-z_]+: ", line) for line in said)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("pull", "charges"), "sk_test_unknown12345"),
        (("pull", "charges"), ""),
        (("pull", "charges", "--since", "yesterday"), "sk_test_demo"),
        (("pull", "charge"), "sk_test_demo"),
    ],
)
def test_a_failure_is_an_object_too(
    words: tuple[str, ...], key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", key)
    assert run([*words, "--json"]) > 1
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["report"] == told["table"] == words[1]
    assert told["destination"].endswith("counterfoil.duckdb")
    assert printed.err.startswith(f"error: {told['error']}")


def test_a_failure_tells_what_it_spent(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.control("faults", fault="should_not_retry", path="/v1/charges")
    try:
        assert run(["pull", "charges", "--table", "mine", "--json"]) == 1
    finally:
        sandbox.control("faults", clear=True)
    told = json.loads(capsys.readouterr().out)
    assert told["table"] == "mine"
    assert told["requests"] > 0
    assert told["seconds"] > 0
    assert told["error"]


def test_a_key_that_is_refused_gives_an_object_for_each_of_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_unknown12345")
    assert run(["pull", "all", "--json"]) == 3
    printed = capsys.readouterr()
    told = [json.loads(line) for line in printed.out.splitlines()]
    assert tuple(one["report"] for one in told) == catalogue()
    assert all("does not take the key" in one["error"] for one in told)
    assert [one["requests"] for one in told] == [1] + [0] * (len(told) - 1)
    assert printed.err.count("error: ") == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_says_what_is_left_and_how_to_go_on(number: signal.Signals, code: int, sandbox: Sandbox) -> None:
    sandbox.control("faults", fault="hold", path="/v1/charges", skip=1)
    try:
        process = _started("pull", "charges")
        while not list(Path("home/archive").glob("pull-*/pages.spool")) or _spooled() < 100:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        sandbox.control("faults", clear=True)
    assert process.returncode == code
    assert out == b""
    assert err.decode().splitlines() == [
        "Stopped; a table that was not finished is as it was before.",
        "  What was read is kept: --resume goes on behind it.",
    ]


def _spooled() -> int:
    return sum(spool.stat().st_size for spool in Path("home/archive").glob("pull-*/pages.spool"))


def test_a_name_that_the_terminals_encoding_can_not_say_is_spelled_out() -> None:
    process = _started("pull", "coupons", "--table", "cafés", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert rb"caf\xe9s" in out


def test_a_name_can_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "coupons", "--table", "a\x1b[31mred"]) == 2
    assert run(["pull", "coupons", "--to", "\x1b[31m"]) == 2
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert r"a\x1b[31mred" in printed.err
    assert printable("two\nlines") == "two\nlines"


def test_one_row_is_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "coupons", "--limit", "1"]) == 0
    assert re.match(r"coupons: 1 row, 25 columns into .*\(1 request, ", capsys.readouterr().out)


def test_a_working_folder_that_is_gone_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    for words in (["pull", "coupons"], ["demo", "--once"]):
        assert run(words) == 2
        assert "The working folder can't be used" in capsys.readouterr().err
    os.chdir(tmp_path)
