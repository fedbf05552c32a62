"""`--resume` says how old is what it goes on behind, and does not go on behind what is too old."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from counterfoil.cli import run

from .conftest import KEY, Stripe

HOUR = 3600


@pytest.fixture
def failing(own_stripe: Stripe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stripe:
    """A Stripe whose list of charges broke off behind a few pages, and a pull that met it."""
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


def test_the_time_of_the_pages_is_told(failing: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    failing.control("advance", {"seconds": 23 * HOUR})
    pulled = _resumed(capsys)
    assert pulled["rows"] == len(failing.all("/v1/charges"))
    (told,) = pulled["warnings"]
    assert re.fullmatch(r"\d pages? read on 2026-11-01 12:00 UTC; what changed later is not in them", told)


def test_pages_older_than_a_day_are_read_again(failing: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    failing.control("advance", {"seconds": 25 * HOUR})
    pulled = _resumed(capsys)
    charges = failing.all("/v1/charges")
    assert pulled["rows"] == len(charges)
    assert pulled["requests"] >= len(charges) / 100 + 1
    (told,) = pulled["warnings"]
    assert "2026-11-01 12:00 UTC" in told
    assert "read anew" in told


def test_a_pull_that_found_nothing_says_nothing_of_age(failing: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    _resumed(capsys)
    assert _resumed(capsys)["warnings"] == []
