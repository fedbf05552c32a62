"""The command loads a report into Domo, and the secret of Domo's client appears nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from counterfoil.cli import run
from tests import domo
from tests.domo_api import SECRET

from .conftest import Stripe


def test_domo_dataset_contains_ids_of_serial_loop(
    connected: Stripe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    with domo.running() as server:
        for _ in range(2):
            assert run(["pull", "charges", "--to", server.url(prefix="Stripe%20")]) == 0
        rows = server.rows("Stripe charges")
    assert sorted(row["id"] for row in rows) == sorted(one["id"] for one in connected.all("/v1/charges"))
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_secret_in_url_is_rejected_and_never_printed(
    connected: Stripe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ("domo://me:hunter2@api.domo.com", "domo://me@api.domo.com?secret=hunter2"):
        assert run(["pull", "charges", "--to", url]) == 2
    printed = capfd.readouterr()
    assert printed.err.count("?secret=env:NAME") == 2
    assert "hunter2" not in printed.out + printed.err
