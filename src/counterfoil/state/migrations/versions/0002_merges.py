"""The options of merges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the options; existing merges get those that match their behavior."""
    op.add_column("datasets", sa.Column("merge", sa.JSON(none_as_null=True), nullable=True))
    merge = {"deleted": "keep", "history": False, "reread_days": 7}
    datasets = sa.table("datasets", sa.column("method", sa.String), sa.column("merge", sa.JSON))
    op.execute(datasets.update().where(datasets.c.method == "merge").values(merge=merge))


def downgrade() -> None:
    """Removes the options."""
    with op.batch_alter_table("datasets") as table:
        table.drop_column("merge")
