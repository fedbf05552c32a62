"""The migrations of the state's schema. `versions` has a file per version, named by its number."""

from __future__ import annotations

import sqlalchemy as sa


def migrate(connection: sa.Connection, to: str, *, down: bool = False) -> None:
    """Upgrades or downgrades the schema to a version, in the connection's transaction; `base` drops all tables."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "counterfoil.state:migrations")
    config.set_main_option("path_separator", "os")
    (command.downgrade if down else command.upgrade)(config, to)
