"""Alembic's environment: runs migrations in the connection and the transaction of the caller."""

from __future__ import annotations

from alembic import context

from counterfoil.state.tables import SCHEMA_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=SCHEMA_TABLE,
    # SQLite changes a table by creating another one.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
