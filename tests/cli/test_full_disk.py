"""Runs whose disk is full end with an error and leave the table unchanged.

A limit on the size of files simulates the full disk: unlike a separate file system, it is available everywhere.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stripe_sandbox import Sandbox
from tests.cli.center import Center

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))
#: Time for a run to start on a busy machine and end.
BOUND_SECONDS = 100


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    with Sandbox(scale=0.1) as sandbox:
        opened = Center(tmp_path / "home", sandbox.url)
        yield opened
        opened.close()


@pytest.mark.parametrize("most_bytes", [50_000, 230_000, pytest.param(300_000, marks=pytest.mark.thorough)])
def test_run_on_full_disk_fails_and_leaves_table_unchanged(center: Center, most_bytes: int) -> None:
    center.add("Charges", "charges")
    assert center.do("run", "Charges").code == 0
    before = center.rows("SELECT id, _run FROM charges ORDER BY id")
    _assert_run_fails(center, most_bytes)
    assert center.rows("SELECT id, _run FROM charges ORDER BY id") == before


@pytest.mark.parametrize("most_bytes", [50_000, 150_000], ids=["queue", "result"])
def test_run_with_full_databases_fails_and_leaves_table_unchanged(center: Center, most_bytes: int) -> None:
    center.add("Charges", "charges")
    assert center.do("run", "Charges").code == 0
    before = center.rows("SELECT id, _run FROM charges ORDER BY id")
    center.close()  # later writes continue at the present size of the files
    _assert_run_fails(center, most_bytes)
    assert center.rows("SELECT id, _run FROM charges ORDER BY id") == before


def _assert_run_fails(center: Center, most_bytes: int) -> None:
    done = subprocess.run(
        [COUNTERFOIL, "run", "Charges"],
        env={**os.environ, "COUNTERFOIL_HOME": str(center.home)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
    )
    assert done.returncode in (1, 2), done.stderr
    assert "error: " in done.stderr
