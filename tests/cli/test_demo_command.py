"""`demo` as a process: sample runs, a page, and no files after the end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from counterfoil.app.app import open_app
from counterfoil.cli import run
from counterfoil.cli.demo.command import BANNER
from counterfoil.settings import Settings

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))


def test_demo_serves_three_months_of_runs_and_deletes_its_folder(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [COUNTERFOIL, "demo", "--port", "0"],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Counterfoil ready at http://127.0.0.1:"), process.communicate()[1]
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(line.split()[-1]) as answer:
        page = answer.read().decode()
    (home,) = tmp_path.glob("counterfoil-demo-*")
    with open_app(Settings(home=home)) as app:
        runs = app.runs.list(limit=1000)
        datasets = {one.dataset.name: one for one in app.datasets.list()}
        tables = [one.dataset.targets[0].table for one in datasets.values() if one.last_run is not None]
        # Fields without a column would be in _extra.
        extra = {table: app.tables.ask(f"SELECT count(_extra) FROM {table}").rows for table in tables}
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=20)

    assert (process.returncode, home.exists(), list(tmp_path.iterdir())) == (0, False, [])
    assert str(home) in printed
    assert extra == dict.fromkeys(tables, ((0,),))
    assert BANNER in page
    assert "Paper &amp; Ink (sandbox)" in page
    assert [datasets[name].dataset.pause is not None for name in ("Charges", "Refunds", "Transfers")] == [0, 1, 1]
    transfers = datasets["Transfers"].last_run
    assert transfers is not None
    assert transfers.error is not None
    assert "rak_transfer_read" in transfers.error["message"]
    charges = [one for one in runs if one.dataset == datasets["Charges"].dataset.id]
    assert len(charges) >= 13
    assert datetime.now(UTC) - charges[-1].created_at > timedelta(days=80)
    assert charges[0].counts.read > charges[-1].counts.read > 0
    assert all(one.finished_at < datetime.now(UTC) for one in runs if one.finished_at)


def test_demo_rejects_folder_that_is_not_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert run(["demo", "--home", str(tmp_path)]) == 2
    assert f"--home {tmp_path}" in capsys.readouterr().err
    assert (tmp_path / "mine").exists()


def test_demo_reports_port_in_use_before_sample_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        assert run(["demo", "--port", str(port), "--home", str(tmp_path / "demo")]) == 2
    printed = capsys.readouterr().err
    assert f"port {port} on 127.0.0.1" in printed
    assert "sample runs" not in printed
