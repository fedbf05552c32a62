"""The commands `reports`, `demo --once`, `sandbox` and `--version`."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import duckdb
import pytest

from counterfoil.cli import run
from counterfoil.cli.demo.once import QUESTIONS
from counterfoil.reports.catalogue import REPORTS

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))

MENU = [(report.key, report.title) for report in REPORTS]


def test_reports_lists_all_reports_in_order_with_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reports", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["key"], one["title"]) for one in listed] == MENU
    (charges,) = (one for one in listed if one["key"] == "charges")
    types = {column["name"]: column["type"] for column in charges["columns"]}
    assert types["amount"] == "BIGINT"
    assert types["amount_major"] == "DECIMAL(22,3)"
    assert types["created"] == "TIMESTAMP WITH TIME ZONE"
    assert types["metadata"] == types["_extra"] == "JSON"


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_reports_prints_uncut_lines_to_pipe(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["reports"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [key for key, _ in MENU]
    assert lines[-1].endswith(REPORTS[-1].description)


def test_reports_shows_whole_keys_and_titles_on_narrow_terminal() -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm"}
    process = subprocess.Popen([COUNTERFOIL, "reports"], stdin=terminal, stdout=terminal, env=environment)
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(controller, 65_536):
            seen += chunk
    os.close(controller)
    assert process.wait(30) == 0
    assert all(key in seen.decode() and title in seen.decode() for key, title in MENU)


def test_reports_lists_pull_methods_and_dataset_methods_separately(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reports", "--json"]) == 0
    for one in json.loads(capsys.readouterr().out):
        assert one["pull_methods"] == ["replace", "append"]
        assert one["dataset_default_method"] in one["dataset_methods"]
        assert "methods" not in one


def test_demo_once_loads_all_reports_and_prints_query_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    # A table of an earlier demo.
    duckdb.connect("demo.duckdb").execute("CREATE TABLE charges AS SELECT 1 AS old").close()
    assert run(["demo", "--once"]) == 0
    printed = capsys.readouterr().out
    assert all(key in printed for key, _ in MENU)
    with duckdb.connect("demo.duckdb", read_only=True) as connection:
        answers = [connection.execute(sql).fetchall() for _, sql in QUESTIONS]
    assert all(answers)
    assert all(title in printed for title, _ in QUESTIONS)
    assert {difference for *_, difference in answers[-1]} == {0}


def test_demo_once_reports_port_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert run(["demo", "--once", "--port", str(port)]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert f"port {port}: Address already in use" in error
    assert "--port" in hint


def test_sandbox_prints_its_url_and_stops_on_interrupt() -> None:
    with subprocess.Popen([COUNTERFOIL, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[-1]
        request = urllib.request.Request(f"{url}/v1/account", headers={"Authorization": "Bearer sk_test_demo"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["object"] == "account"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert line.startswith("Sandbox ready at http://127.0.0.1:")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from counterfoil import __version__

    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
