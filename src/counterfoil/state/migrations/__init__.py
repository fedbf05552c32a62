"""The state's schema, step by step. `versions` holds a file per step, named by its number."""

from __future__ import annotations

import sqlalchemy as sa


def migrate(connection: sa.Connection, to: str, *, down: bool = False) -> None:
    """Takes the schema up or down to a step, in the connection's transaction; down to `base` takes all tables away."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "counterfoil.state:migrations")
    config.set_main_option("path_separator", "os")
    (command.downgrade if down else command.upgrade)(config, to)
