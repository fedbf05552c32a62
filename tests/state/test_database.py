"""The state is one file of ours, with the schema of this program, or it says what to do."""

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
def test_a_fresh_state_is_made_by_itself_for_its_user_alone(settings: Settings) -> None:
    with open_state(settings) as state:
        state.keep_setting("greeting", "hello")
        assert _mode(settings.home) == 0o700
        assert {_mode(file) for file in settings.home.glob("state.db*")} == {0o600}
    with open_state(settings) as state:
        assert state.setting("greeting") == "hello"
        assert state.schema() == SCHEMA


@pytest.mark.empty
def test_many_that_open_a_fresh_state_at_once_all_get_it(settings: Settings) -> None:
    def use(number: int) -> None:
        with open_state(settings) as state:
            state.keep_setting(f"from {number}", number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    with open_state(settings) as state:
        assert [state.setting(f"from {number}") for number in range(8)] == list(range(8))


def test_an_older_schema_names_the_command_that_upgrades_it(state: State, settings: Settings) -> None:
    _set_schema(state, "0000")
    with pytest.raises(SettingsError, match="older schema 0000") as caught:
        open_state(settings)
    assert "counterfoil state upgrade" in (caught.value.hint or "")


@pytest.mark.parametrize("use", [open_state, upgrade_state])
def test_a_newer_schema_asks_for_a_newer_program(
    state: State, settings: Settings, use: Callable[[Settings], object]
) -> None:
    _set_schema(state, "9999")
    with pytest.raises(SettingsError, match="newer") as caught:
        use(settings)
    assert "Install a newer counterfoil" in (caught.value.hint or "")


@pytest.mark.empty
def test_an_upgrade_of_nothing_makes_the_state_and_a_second_one_changes_nothing(settings: Settings) -> None:
    assert upgrade_state(settings) == (None, SCHEMA)
    assert upgrade_state(settings) == (SCHEMA, SCHEMA)


@pytest.mark.sqlite
def test_a_database_with_another_programs_tables_is_refused(settings: Settings) -> None:
    settings.home.mkdir()
    with sqlite3.connect(settings.home / "state.db") as connection:
        connection.execute("CREATE TABLE accounts (id)")
    connection.close()
    with pytest.raises(SettingsError, match="holds a table accounts that counterfoil did not make"):
        open_state(settings)


def test_a_database_of_postgres_with_another_programs_tables_is_refused(postgres: Server, tmp_path: Path) -> None:
    with postgres.connected() as connection:
        connection.execute("CREATE DATABASE others")
    with postgres.connected("others") as connection:
        connection.execute("CREATE TABLE accounts (id int)")
    url = f"postgresql://owner@/others?host={postgres.folder}"
    with pytest.raises(SettingsError, match="holds a table accounts that counterfoil did not make"):
        open_state(Settings(home=tmp_path / "home", state_url=url))  # type: ignore[arg-type]


@pytest.mark.sqlite
def test_a_file_that_is_no_database_is_named(settings: Settings) -> None:
    settings.home.mkdir()
    (settings.home / "state.db").write_text("a shopping list, longer than a database's header: " + "milk " * 100)
    with pytest.raises(SettingsError, match=r"state\.db.*file is not a database") as caught:
        open_state(settings)
    assert "COUNTERFOIL" not in (caught.value.hint or ""), "it may be written, and is where it should be"


@pytest.mark.sqlite
def test_a_malformed_state_is_no_missing_permission(state: State, settings: Settings) -> None:
    for number in range(200):
        state.keep_setting(f"setting {number}", "value" * 100)
    state.close()
    file = settings.home / "state.db"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with pytest.raises(SettingsError, match="malformed") as caught, open_state(settings) as opened:
        opened.setting("setting 7")
    assert "COUNTERFOIL" not in (caught.value.hint or "")


def test_a_home_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="can't be made") as caught:
        open_state(Settings(home=tmp_path / "file" / "home"))
    assert "COUNTERFOIL_HOME" in (caught.value.hint or "")


def test_a_relative_url_is_below_the_home_and_an_absolute_one_from_the_root(tmp_path: Path) -> None:
    home = tmp_path / "home"
    open_state(Settings(home=home, state_url="sqlite:///kept/mine.db")).close()  # type: ignore[arg-type]
    assert (home / "kept" / "mine.db").is_file()
    open_state(Settings(home=home, state_url=f"sqlite:///{tmp_path}/there.db")).close()  # type: ignore[arg-type]
    assert (tmp_path / "there.db").is_file()


@pytest.mark.parametrize(
    "url", ["", "state", "sqlite://", "sqlite:///:memory:", f"mysql://root:{PASSWORD}@db/x", f"://u:{PASSWORD}@h:x/"]
)
def test_a_url_that_can_not_be_the_states_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_state(Settings(home=tmp_path, state_url=url))  # type: ignore[arg-type]
    assert "sqlite:///state.db" in (caught.value.hint or "")
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__!r}"


def test_a_postgres_that_is_not_there_may_come_back_and_its_password_is_not_told(tmp_path: Path) -> None:
    url = f"postgresql://keeper:{PASSWORD}@127.0.0.1:9/state?connect_timeout=2"
    with pytest.raises(StateUnavailable) as caught:
        open_state(Settings(home=tmp_path, state_url=url))  # type: ignore[arg-type]
    assert "keeper:***@127.0.0.1" in caught.value.message
    assert "COUNTERFOIL_STATE_URL" in (caught.value.hint or "")
    assert PASSWORD not in f"{caught.value.message}{caught.value.__cause__}"


def test_the_url_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("sqlite:///from-file.db\n")
    monkeypatch.setenv("COUNTERFOIL_STATE_URL_FILE", str(tmp_path / "url"))
    settings = load_settings()
    open_state(settings).close()
    assert (settings.home / "from-file.db").is_file()
    monkeypatch.setenv("COUNTERFOIL_STATE_URL", "sqlite:///other.db")
    with pytest.raises(SettingsError, match="COUNTERFOIL_STATE_URL and COUNTERFOIL_STATE_URL_FILE are both set"):
        open_state(load_settings())


def test_secrets_are_not_in_the_repr_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_STATE_URL", f"postgresql://u:{PASSWORD}@h/d")
    monkeypatch.setenv("COUNTERFOIL_SECRET_KEY", PASSWORD)
    settings = load_settings()
    assert settings.secret("secret_key") == PASSWORD
    assert PASSWORD not in f"{settings!r} {settings} {settings.model_dump()}"


def _keep_and_fail(state: State, name: str) -> None:
    with state.begin():
        state.keep_setting(name, 1)
        raise KeyError


def test_an_error_undoes_all_of_a_transaction(state: State) -> None:
    with pytest.raises(KeyError):
        _keep_and_fail(state, "first")
    assert state.setting("first") is None


def test_a_transaction_inside_another_is_undone_alone_and_committed_with_it(state: State, settings: Settings) -> None:
    with state.begin():
        state.keep_setting("outer", 1)
        with pytest.raises(KeyError):
            _keep_and_fail(state, "inner")
        assert state.setting("outer") == 1
        with open_state(settings) as other:
            assert other.setting("outer") is None
    assert state.setting("outer") == 1
    assert state.setting("inner") is None


def test_reading_waits_for_no_writer_and_sees_one_moment(state: State, settings: Settings) -> None:
    state.keep_setting("value", "old")
    value = sa.select(settings_table.c.value).where(settings_table.c.name == "value")
    with open_state(settings) as other, state.read() as connection:
        assert connection.scalar(value) == "old"
        other.keep_setting("value", "new")
        assert connection.scalar(value) == "old"
    assert state.setting("value") == "new"


@pytest.mark.sqlite
def test_a_state_that_another_process_holds_too_long_is_busy(
    state: State, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0)
    with open_state(settings) as other, state.begin(), pytest.raises(TransientError) as caught:
        other.keep_setting("value", 1)
    assert not isinstance(caught.value, StateUnavailable)


def test_instants_come_back_aware_and_in_utc_and_others_are_refused(state: State) -> None:
    berlin = timezone(timedelta(hours=2))
    with state.begin() as connection:
        at = datetime(2027, 5, 1, 9, 30, 0, 123456, tzinfo=berlin)
        connection.execute(settings_table.insert().values(name="at", value=1, updated_at=at))
        kept = connection.scalar(sa.select(settings_table.c.updated_at))
    assert kept == datetime(2027, 5, 1, 7, 30, 0, 123456, tzinfo=UTC)
    assert kept.tzinfo is UTC
    naive = settings_table.update().values(updated_at=datetime(2027, 5, 1))  # noqa: DTZ001
    with pytest.raises(sa.exc.StatementError, match="has no time zone"), state.begin() as connection:
        connection.execute(naive)


@pytest.mark.sqlite  # Postgres names the key that is there already; no secret is part of one
def test_an_error_of_the_database_repeats_no_values(state: State) -> None:
    insert = settings_table.insert().values(name=PASSWORD, value=PASSWORD, updated_at=datetime.now(UTC))
    with state.begin() as connection:
        connection.execute(insert)
    with pytest.raises(sa.exc.IntegrityError) as caught, state.begin() as connection:
        connection.execute(insert)
    assert PASSWORD not in str(caught.value)


@pytest.mark.sqlite
def test_a_state_shows_where_it_is_and_no_more(state: State, settings: Settings) -> None:
    assert repr(state) == f"State({settings.home / 'state.db'})"


@pytest.mark.sqlite
def test_opening_a_state_that_is_there_imports_neither_migrations_nor_ciphers(state: State, settings: Settings) -> None:
    told = "import sys; from counterfoil.settings import load_settings; from counterfoil.state import open_state"
    told += "; import counterfoil.state.accounts, counterfoil.state.datasets, counterfoil.state.runs"
    told += "; open_state(load_settings()).close()"
    told += "; print({'alembic', 'cryptography', 'pyarrow', 'duckdb', 'aiohttp', 'dbos'} & sys.modules.keys())"
    environment = {**os.environ, "COUNTERFOIL_HOME": str(settings.home)}
    done = subprocess.run([sys.executable, "-c", told], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.skipif(sys.platform == "win32", reason="locks there go with the handle")
def test_a_file_that_is_there_is_not_opened_since_that_would_end_sqlites_locks(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "state.db"
    make_file(path)
    assert _mode(path) == 0o600
    with path.open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        make_file(path)
        told = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        done = subprocess.run([sys.executable, "-c", told, str(path)], capture_output=True, text=True, check=False)
    assert "BlockingIOError" in done.stderr


def test_many_that_come_and_go_in_one_process_leave_a_state_that_is_one(settings: Settings) -> None:
    with open_state(settings) as state:
        for number in range(20):
            state.keep_setting("here", number)
            with open_state(settings) as other:
                other.keep_setting("there", number)
        assert (state.setting("here"), state.setting("there")) == (19, 19)
