"""Every test has a home of its own, no key of the developer's, and no reason to wait for Stripe's rates."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_ACCOUNT", "COUNTERFOIL_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COUNTERFOIL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COUNTERFOIL_RATE_GLOBAL", "100000")
    monkeypatch.setenv("COUNTERFOIL_RATE_ENDPOINT", "100000")
