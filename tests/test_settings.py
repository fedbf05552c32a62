"""Settings take what a person writes into the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_data_path

from counterfoil.errors import SettingsError
from counterfoil.settings import load_settings


@pytest.mark.parametrize("name", ["HOME", "ARCHIVE_PATH"])
def test_a_tilde_is_the_home_of_the_person(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"COUNTERFOIL_{name}", "~/books")
    assert getattr(load_settings(), name.lower()) == Path.home() / "books"


def test_the_tilde_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", "~nobody-of-that-name/books")
    with pytest.raises(SettingsError, match="COUNTERFOIL_HOME is not valid: there is no home to expand ~nob"):
        load_settings()


def test_what_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", "")
    monkeypatch.setenv("COUNTERFOIL_RATE_GLOBAL", "")
    settings = load_settings()
    assert settings.home == user_data_path("counterfoil")
    assert settings.rate_global is None
