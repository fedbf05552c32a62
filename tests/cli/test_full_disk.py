"""A run whose home has no room left ends with an error, and the table is unchanged.

A limit on the size of files stands for the full disk: unlike a file system of its own it can be had everywhere.
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
#: A run that hangs does so for minutes; a busy machine takes a while to start one.
BOUND_SECONDS = 100


@pytest.fixture
def center(tmp_path: Path) -> Iterator[Center]:
    with Sandbox(scale=0.1) as sandbox:
        made = Center(tmp_path / "home", sandbox.url)
        yield made
        made.close()


@pytest.mark.parametrize("most_bytes", [50_000, 230_000, pytest.param(300_000, marks=pytest.mark.thorough)])
def test_a_run_without_room_for_its_files_ends_and_changes_nothing(center: Center, most_bytes: int) -> None:
    center.add("Charges", "charges")
    assert center.do("run", "Charges").code == 0
    before = center.rows("SELECT id, _run FROM charges ORDER BY id")
    _ends_with_an_error(center, most_bytes)
    assert center.rows("SELECT id, _run FROM charges ORDER BY id") == before


@pytest.mark.parametrize("most_bytes", [50_000, 150_000], ids=["the queue gives no attempt", "the end is not recorded"])
def test_a_run_whose_databases_have_no_room_left_ends_and_changes_nothing(center: Center, most_bytes: int) -> None:
    center.add("Charges", "charges")
    assert center.do("run", "Charges").code == 0
    before = center.rows("SELECT id, _run FROM charges ORDER BY id")
    center.close()  # what is written from here on begins at the size that the files have
    _ends_with_an_error(center, most_bytes)
    assert center.rows("SELECT id, _run FROM charges ORDER BY id") == before


def _ends_with_an_error(center: Center, most_bytes: int) -> None:
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
