"""`demo` as a process: a folder with a history, a page that answers, and nothing left behind."""

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


def test_the_demo_has_three_months_of_runs_behind_a_link_and_removes_its_folder(tmp_path: Path) -> None:
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
        # What no column holds would be in _extra.
        beside = {table: app.tables.ask(f"SELECT count(_extra) FROM {table}").rows for table in tables}
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)

    assert (process.returncode, home.exists(), list(tmp_path.iterdir())) == (0, False, [])
    assert str(home) in said
    assert beside == dict.fromkeys(tables, ((0,),))
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


def test_a_folder_that_is_given_to_the_demo_has_to_be_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert run(["demo", "--home", str(tmp_path)]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert (tmp_path / "mine").exists()


def test_the_demo_names_the_page_s_port_that_is_taken_before_it_makes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["demo", "--port", str(port), "--home", str(tmp_path / "demo")]) == 2
    assert f"Port {port} of 127.0.0.1 can't be used" in capsys.readouterr().err
