"""The migrations create the declared tables, and drop them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from counterfoil.errors import SettingsError
from counterfoil.settings import Settings
from counterfoil.state import State
from counterfoil.state.tables import SCHEMA, SCHEMA_TABLE, metadata


def _differences(state: State, declared: sa.MetaData) -> list[object]:
    with state.read() as connection:
        options = {"version_table": SCHEMA_TABLE, "compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), declared))


def test_migrations_create_declared_tables(state: State) -> None:
    assert _differences(state, metadata) == []


def test_comparison_detects_column_without_migration(state: State) -> None:
    other = sa.MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.tables.values():
        table.to_metadata(other)
    other.tables["runs"].append_column(sa.Column("extra", sa.String))
    assert len(_differences(state, other)) == 1


@pytest.mark.sqlite
def test_migrations_create_declared_constraints_and_partial_indexes(state: State) -> None:
    declared = sa.create_engine("sqlite://")
    metadata.create_all(declared)
    with declared.connect() as connection, state.read() as migrated:
        for table in metadata.tables:
            for kind in ("get_check_constraints", "get_foreign_keys", "get_unique_constraints"):
                expected, found = (getattr(sa.inspect(each), kind)(table) for each in (connection, migrated))
                assert sorted(map(str, expected)) == sorted(map(str, found)), (table, kind)
        partial = "SELECT sql FROM sqlite_master WHERE sql LIKE '%WHERE%'"
        indexes = migrated.exec_driver_sql(partial).scalars().all()
        assert indexes == connection.exec_driver_sql(partial).scalars().all()
        assert len(indexes) == 1
    declared.dispose()


def test_schema_constant_is_newest_migration(settings: Settings) -> None:
    config = Config()
    config.set_main_option("script_location", "counterfoil.state:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA


def test_downgrade_to_base_and_upgrade_restore_schema(state: State) -> None:
    state.keep_setting("name", 1)
    state.migrate("base")
    with state.read() as connection:
        assert sa.inspect(connection).get_table_names() == [SCHEMA_TABLE]
    assert state.schema() is None
    state.migrate()
    assert state.schema() == SCHEMA
    assert _differences(state, metadata) == []
    assert state.setting("name") is None


def test_failed_migration_leaves_schema_unchanged(settings: Settings, state: State) -> None:
    state.migrate("base")
    with state.begin() as connection:
        connection.execute(sa.text("CREATE TABLE other (run varchar)"))
        connection.execute(sa.text("CREATE INDEX ix_run_lines_run_number ON other (run)"))
    with pytest.raises(SettingsError, match=r'ix_run_lines_run_number"? already exists'):
        state.migrate()
    with state.read() as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == [SCHEMA_TABLE, "other"]
