"""The database of the state: creation, schema, URLs, transactions and errors."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from counterfoil.errors import SettingsError, StateUnavailable, TransientError
from counterfoil.settings import Settings, load_settings
from counterfoil.state import State, database, open_state, upgrade_state
from counterfoil.state.sqlite_file import make_file
from counterfoil.state.tables import SCHEMA, SCHEMA_TABLE
from counterfoil.state.tables import settings as settings_table
from tests.postgres import Server

PASSWORD = "hunter2hunter2"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _set_schema(state: State, number: str) -> None:
    with state.begin() as connection:
        connection.execute(sa.text(f"UPDATE {SCHEMA_TABLE} SET version_num = '{number}'"))


@pytest.mark.sqlite
def test_new_state_is_accessible_only_to_its_user(settings: Settings) -> None:
    with open_state(settings) as state:
        state.keep_setting("greeting", "hello")
        assert _mode(settings.home) == 0o700
        assert {_mode(file) for file in settings.home.glob("state.db*")} == {0o600}
    with open_state(settings) as state:
        assert state.setting("greeting") == "hello"
        assert state.schema() == SCHEMA


@pytest.mark.empty
def test_concurrent_opens_create_state_once(settings: Settings) -> None:
    def use(number: int) -> None:
        with open_state(settings) as state:
            state.keep_setting(f"from {number}", number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    with open_state(settings) as state:
        assert [state.setting(f"from {number}") for number in range(8)] == list(range(8))


def test_older_schema_suggests_upgrade_command(state: State, settings: Settings) -> None:
    _set_schema(state, "0000")
    with pytest.raises(SettingsError, match="0000") as caught:
        open_state(settings)
    assert "counterfoil state upgrade" in (caught.value.hint or "")


@pytest.mark.parametrize("use", [open_state, upgrade_state])
def test_newer_schema_suggests_newer_program(
    state: State, settings: Settings, use: Callable[[Settings], object]
) -> None:
    _set_schema(state, "9999")
    with pytest.raises(SettingsError, match="9999") as caught:
        use(settings)
    assert "pip install --upgrade counterfoil" in (caught.value.hint or "")


@pytest.mark.empty
def test_upgrade_creates_state_and_is_idempotent(settings: Settings) -> None:
    assert upgrade_state(settings) == (None, SCHEMA)
    assert upgrade_state(settings) == (SCHEMA, SCHEMA)


@pytest.mark.sqlite
def test_sqlite_database_of_another_program_is_rejected(settings: Settings) -> None:
    settings.home.mkdir()
    with sqlite3.connect(settings.home / "state.db") as connection:
        connection.execute("CREATE TABLE accounts (id)")
    connection.close()
    with pytest.raises(SettingsError, match="table accounts") as caught:
        open_state(settings)
    assert "COUNTERFOIL_STATE_URL" in (caught.value.hint or "")


def test_postgres_database_of_another_program_is_rejected(postgres: Server, tmp_path: Path) -> None:
    with postgres.connected() as connection:
        connection.execute("CREATE DATABASE others")
    with postgres.connected("others") as connection:
        connection.execute("CREATE TABLE accounts (id int)")
    url = f"postgresql://owner@/others?host={postgres.folder}"
    with pytest.raises(SettingsError, match="table accounts") as caught:
        open_state(Settings(home=tmp_path / "home", state_url=url))  # type: ignore[arg-type]
    assert "COUNTERFOIL_STATE_URL" in (caught.value.hint or "")


@pytest.mark.sqlite
def test_error_names_file_that_is_not_a_database(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "state.db").write_text("a shopping list, longer than a database's header: " + "milk " * 100)
    with pytest.raises(SettingsError, match=r"state\.db.*not a database") as caught:
        open_state(settings)
    assert "COUNTERFOIL" not in (caught.value.hint or ""), "the location and the permissions are right"


@pytest.mark.sqlite
def test_malformed_state_is_not_reported_as_missing_permission(state: State, settings: Settings) -> None:
    for number in range(200):
        state.keep_setting(f"setting {number}", "value" * 100)
    state.close()
    file = settings.home / "state.db"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with pytest.raises(SettingsError, match="malformed") as caught, open_state(settings) as opened:
        opened.setting("setting 7")
    assert "COUNTERFOIL" not in (caught.value.hint or "")


def test_error_names_home_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=str(tmp_path / "file" / "home")) as caught:
        open_state(Settings(home=tmp_path / "file" / "home"))
    assert "COUNTERFOIL_HOME" in (caught.value.hint or "")


def test_relative_url_is_resolved_in_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    open_state(Settings(home=home, state_url="sqlite:///kept/mine.db")).close()  # type: ignore[arg-type]
    assert (home / "kept" / "mine.db").is_file()
    open_state(Settings(home=home, state_url=f"sqlite:///{tmp_path}/there.db")).close()  # type: ignore[arg-type]
    assert (tmp_path / "there.db").is_file()


@pytest.mark.parametrize(
    "url", ["", "state", "sqlite://", "sqlite:///:memory:", f"mysql://root:{PASSWORD}@db/x", f"://u:{PASSWORD}@h:x/"]
)
def test_invalid_url_is_rejected_without_repeating_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_state(Settings(home=tmp_path, state_url=url))  # type: ignore[arg-type]
    assert "sqlite:///state.db" in (caught.value.hint or "")
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__!r}"


def test_unreachable_postgres_is_transient_error_without_password(tmp_path: Path) -> None:
    url = f"postgresql://keeper:{PASSWORD}@127.0.0.1:9/state?connect_timeout=2"
    with pytest.raises(StateUnavailable) as caught:
        open_state(Settings(home=tmp_path, state_url=url))  # type: ignore[arg-type]
    assert "keeper:***@127.0.0.1" in caught.value.message
    assert "COUNTERFOIL_STATE_URL" in (caught.value.hint or "")
    assert PASSWORD not in f"{caught.value.message}{caught.value.__cause__}"


def test_url_is_read_from_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("sqlite:///from-file.db\n")
    monkeypatch.setenv("COUNTERFOIL_STATE_URL_FILE", str(tmp_path / "url"))
    settings = load_settings()
    open_state(settings).close()
    assert (settings.home / "from-file.db").is_file()
    monkeypatch.setenv("COUNTERFOIL_STATE_URL", "sqlite:///other.db")
    with pytest.raises(SettingsError, match="COUNTERFOIL_STATE_URL and COUNTERFOIL_STATE_URL_FILE"):
        open_state(load_settings())


def test_repr_of_settings_contains_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_STATE_URL", f"postgresql://u:{PASSWORD}@h/d")
    monkeypatch.setenv("COUNTERFOIL_SECRET_KEY", PASSWORD)
    settings = load_settings()
    assert settings.secret("secret_key") == PASSWORD
    assert PASSWORD not in f"{settings!r} {settings} {settings.model_dump()}"


def _store_and_fail(state: State, name: str) -> None:
    with state.begin():
        state.keep_setting(name, 1)
        raise KeyError


def test_error_rolls_transaction_back(state: State) -> None:
    with pytest.raises(KeyError):
        _store_and_fail(state, "first")
    assert state.setting("first") is None


def test_nested_transaction_rolls_back_alone_and_commits_with_outer(state: State, settings: Settings) -> None:
    with state.begin():
        state.keep_setting("outer", 1)
        with pytest.raises(KeyError):
            _store_and_fail(state, "inner")
        assert state.setting("outer") == 1
        with open_state(settings) as other:
            assert other.setting("outer") is None
    assert state.setting("outer") == 1
    assert state.setting("inner") is None


def test_read_does_not_wait_and_sees_snapshot(state: State, settings: Settings) -> None:
    state.keep_setting("value", "old")
    value = sa.select(settings_table.c.value).where(settings_table.c.name == "value")
    with open_state(settings) as other, state.read() as connection:
        assert connection.scalar(value) == "old"
        other.keep_setting("value", "new")
        assert connection.scalar(value) == "old"
    assert state.setting("value") == "new"


@pytest.mark.sqlite
def test_locked_state_is_transient_error(state: State, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
    with open_state(settings) as other, state.begin(), pytest.raises(TransientError) as caught:
        other.keep_setting("value", 1)
    assert not isinstance(caught.value, StateUnavailable)


def test_instants_are_returned_in_utc_and_naive_ones_rejected(state: State) -> None:
    berlin = timezone(timedelta(hours=2))
    with state.begin() as connection:
        at = datetime(2027, 5, 1, 9, 30, 0, 123456, tzinfo=berlin)
        connection.execute(settings_table.insert().values(name="at", value=1, updated_at=at))
        stored = connection.scalar(sa.select(settings_table.c.updated_at))
    assert stored == datetime(2027, 5, 1, 7, 30, 0, 123456, tzinfo=UTC)
    assert stored.tzinfo is UTC
    naive = settings_table.update().values(updated_at=datetime(2027, 5, 1))  # noqa: DTZ001
    with pytest.raises(sa.exc.StatementError, match="no time zone"), state.begin() as connection:
        connection.execute(naive)


@pytest.mark.sqlite  # Postgres names the existing key, which never contains a secret
def test_database_error_contains_no_values(state: State) -> None:
    insert = settings_table.insert().values(name=PASSWORD, value=PASSWORD, updated_at=datetime.now(UTC))
    with state.begin() as connection:
        connection.execute(insert)
    with pytest.raises(sa.exc.IntegrityError) as caught, state.begin() as connection:
        connection.execute(insert)
    assert PASSWORD not in str(caught.value)


@pytest.mark.sqlite
def test_repr_of_state_shows_only_its_path(state: State, settings: Settings) -> None:
    assert repr(state) == f"State({settings.home / 'state.db'})"


@pytest.mark.sqlite
def test_opening_existing_state_imports_no_heavy_modules(state: State, settings: Settings) -> None:
    code = "import sys; from counterfoil.settings import load_settings; from counterfoil.state import open_state"
    code += "; import counterfoil.state.accounts, counterfoil.state.datasets, counterfoil.state.runs"
    code += "; open_state(load_settings()).close()"
    code += "; print({'alembic', 'cryptography', 'pyarrow', 'duckdb', 'aiohttp', 'dbos'} & sys.modules.keys())"
    environment = {**os.environ, "COUNTERFOIL_HOME": str(settings.home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ties locks to the file handle")
def test_make_file_keeps_locks_of_existing_file(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "state.db"
    make_file(path)
    assert _mode(path) == 0o600
    with path.open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        make_file(path)
        code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in done.stderr


def test_repeated_opens_in_one_process_keep_state_consistent(settings: Settings) -> None:
    with open_state(settings) as state:
        for number in range(20):
            state.keep_setting("here", number)
            with open_state(settings) as other:
                other.keep_setting("there", number)
        assert (state.setting("here"), state.setting("there")) == (19, 19)
