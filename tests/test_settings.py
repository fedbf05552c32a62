"""Settings from environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_data_path

from counterfoil.errors import SettingsError
from counterfoil.settings import load_settings


@pytest.mark.parametrize("name", ["HOME", "ARCHIVE_PATH"])
def test_tilde_is_expanded_to_home_of_user(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"COUNTERFOIL_{name}", "~/books")
    assert getattr(load_settings(), name.lower()) == Path.home() / "books"


def test_tilde_of_unknown_user_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", "~unknown-user/books")
    with pytest.raises(SettingsError, match=r"COUNTERFOIL_HOME.*~unknown-user"):
        load_settings()


def test_empty_variable_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", "")
    monkeypatch.setenv("COUNTERFOIL_RATE_GLOBAL", "")
    settings = load_settings()
    assert settings.home == user_data_path("counterfoil")
    assert settings.rate_global is None
