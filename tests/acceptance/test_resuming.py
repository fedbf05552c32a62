"""`--resume` shows the age of the stored pages, and does not continue from pages that are too old."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil.cli import run

from .conftest import KEY, Stripe

HOUR = 3600


@pytest.fixture
def failing(own_stripe: Stripe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stripe:
    """A Stripe after a pull of charges that failed after a few pages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    own_stripe.control("faults", {"fault": "should_not_retry", "path": "/v1/charges", "skip": 3})
    assert run(["pull", "charges"]) == 1
    own_stripe.control("faults", {"clear": True})
    own_stripe.control("requests?reset=true")
    return own_stripe


def _resumed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["pull", "charges", "--resume", "--json"]) == 0
    pulled: dict[str, Any] = json.loads(capsys.readouterr().out)
    return pulled


def test_resume_reports_the_age_of_the_pages(failing: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    failing.control("advance", {"seconds": 23 * HOUR})
    pulled = _resumed(capsys)
    assert pulled["rows"] == len(failing.all("/v1/charges"))
    (warning,) = pulled["warnings"]
    assert re.search(r"\b\d pages? of 2026-11-01 12:00 UTC\b", warning)


def test_pages_older_than_a_day_are_read_again(failing: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    failing.control("advance", {"seconds": 25 * HOUR})
    pulled = _resumed(capsys)
    charges = failing.all("/v1/charges")
    assert pulled["rows"] == len(charges)
    assert pulled["requests"] >= len(charges) / 100 + 1
    (warning,) = pulled["warnings"]
    assert "2026-11-01 12:00 UTC" in warning
    assert "older than 24 hours" in warning


def test_resume_without_pages_reports_no_age(failing: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    _resumed(capsys)
    assert _resumed(capsys)["warnings"] == []


def _frames(spool: Path) -> list[bytes]:
    data, at, frames = spool.read_bytes(), 8, []
    while at < len(data):
        header, body = struct.unpack_from("<II", data, at)
        end = at + 12 + header + body
        frames.append(data[at:end])
        at = end
    return frames


@pytest.mark.parametrize("which", [0, -1])
def test_duplicate_pages_are_read_again(
    failing: Stripe, tmp_path: Path, capsys: pytest.CaptureFixture[str], which: int
) -> None:
    (spool,) = Path(os.environ["COUNTERFOIL_HOME"]).rglob("*.spool")
    frame = _frames(spool)[which]
    with spool.open("ab") as file:
        file.write(frame)
    pulled = _resumed(capsys)
    charges = failing.all("/v1/charges")
    assert pulled["rows"] == len(charges)
    assert pulled["requests"] >= len(charges) / 100 + 1, "all pages are read again"
    (warning,) = pulled["warnings"]
    assert "contradict" in warning
    with duckdb.connect(str(tmp_path / "counterfoil.duckdb")) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT id) FROM charges").fetchall()
    assert found == [(len(charges), len(charges))]


@pytest.mark.parametrize(
    "spoiled", [b"CFSPOOL1 of another version", b"CFSPOOL2" + b"\x02\0\0\0\0\0\0\0\x9d\x11\xea\xab[]"]
)
def test_invalid_spool_is_read_again(failing: Stripe, capsys: pytest.CaptureFixture[str], spoiled: bytes) -> None:
    (spool,) = Path(os.environ["COUNTERFOIL_HOME"]).rglob("*.spool")
    spool.write_bytes(spoiled)
    assert _resumed(capsys)["rows"] == len(failing.all("/v1/charges"))
