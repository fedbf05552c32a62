"""A pull that is killed at any moment leaves the old table whole and readable, and what it leaves is swept up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from .conftest import KEY, Stripe

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))


def _pull(folder: Path, url: str, *words: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": url}
    command = [COUNTERFOIL, "pull", "charges", "--to", "duckdb:///x.duckdb", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def _finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, (out + err).decode()


def _held(folder: Path) -> tuple[int, int, int]:
    with duckdb.connect(str(folder / "x.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT id), count(DISTINCT _run) FROM charges").fetchone()
    assert found is not None
    return found


def test_a_kill_at_any_moment_leaves_the_old_table_and_the_next_pull_sweeps_up(stripe: Stripe, tmp_path: Path) -> None:
    code, told = _finish(_pull(tmp_path, stripe.url))
    assert code == 0, told
    whole = _held(tmp_path)
    started = time.monotonic()
    assert _finish(_pull(tmp_path, stripe.url))[0] == 0
    seconds = time.monotonic() - started
    chance = random.Random(7)
    killed = 0
    for _ in range(8):
        process = _pull(tmp_path, stripe.url)
        try:
            process.wait(chance.uniform(0.1, seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
        assert _held(tmp_path) == whole
    assert killed > 0
    assert _finish(_pull(tmp_path, stripe.url))[0] == 0
    assert _held(tmp_path) == whole
    assert list((tmp_path / "home" / "archive").iterdir()) == []


def test_two_pulls_into_one_file_at_once_both_succeed(stripe: Stripe, tmp_path: Path) -> None:
    pulls = [_pull(tmp_path, stripe.url), _pull(tmp_path, stripe.url), _pull(tmp_path, stripe.url, "--table", "other")]
    ended = [_finish(process) for process in pulls]
    assert [code for code, _ in ended] == [0, 0, 0], ended
    rows, distinct, runs = _held(tmp_path)
    assert rows == distinct == len(stripe.all("/v1/charges"))
    assert runs == 1


def test_an_interrupt_stops_within_two_seconds_and_leaves_the_table(stripe: Stripe, tmp_path: Path) -> None:
    assert _finish(_pull(tmp_path, stripe.url))[0] == 0
    whole = _held(tmp_path)
    stripe.control("latency", {"ms": 300})
    try:
        process = _pull(tmp_path, stripe.url)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        code, told = _finish(process)
    finally:
        stripe.control("latency", {"ms": 0})
    assert code == 130, told
    assert "Stopped" in told
    assert "Traceback" not in told
    assert time.monotonic() - started < 2
    assert _held(tmp_path) == whole
