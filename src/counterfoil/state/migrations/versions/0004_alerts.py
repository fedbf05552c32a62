"""Alerts, and the notices to send to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "alerts",
        _text("id"),
        _text("name"),
        _text("shown"),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        _text("key_version"),
        sa.Column("kinds", sa.JSON, nullable=False),
        sa.Column("problem", sa.String),
        _instant("sent_at", nullable=True),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("name", name="uq_alerts_name"),
    )
    op.create_table(
        "notices",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _text("alert"),
        _text("about"),
        _text("kind"),
        _text("title"),
        _text("body"),
        _instant("created_at"),
        sa.Column("tries", sa.Integer, nullable=False),
        _instant("next_try_at", nullable=True),
        _instant("sent_at", nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_notices"),
        sa.ForeignKeyConstraint(["alert"], ["alerts.id"], "fk_notices_alert", ondelete="CASCADE"),
        sa.UniqueConstraint("alert", "about", name="uq_notices_alert_about"),
    )
    op.create_index("ix_notices_next_try_at", "notices", ["next_try_at"])


def downgrade() -> None:
    """Drops the tables."""
    op.drop_table("notices")
    op.drop_table("alerts")
