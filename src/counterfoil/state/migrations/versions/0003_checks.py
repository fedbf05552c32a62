"""Checks of runs, and the options of datasets for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def upgrade() -> None:
    """Adds the table, and the column of datasets, in which null means the defaults."""
    op.create_table(
        "checks",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _text("run"),
        _text("url"),
        _text("table"),
        _text("family"),
        _text("name"),
        _text("result"),
        _text("reason"),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.Column("differences", sa.JSON, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_checks"),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], "fk_checks_run", ondelete="CASCADE"),
    )
    op.create_index("ix_checks_run", "checks", ["run"])
    op.add_column("datasets", sa.Column("proof", sa.JSON, nullable=True))


def downgrade() -> None:
    """Drops the table and the column."""
    op.drop_column("datasets", "proof")
    op.drop_table("checks")
