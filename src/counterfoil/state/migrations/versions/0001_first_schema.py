"""Accounts, datasets and their targets, runs with attempts, loads and lines, settings."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ACTIVE = "status IN ('queued', 'running', 'waiting')"


def _instant(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String, nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON, nullable=nullable)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["run"], ["runs.id"], f"fk_{table}_run", ondelete="CASCADE")


def upgrade() -> None:
    """Creates all tables."""
    _accounts()
    _datasets()
    _runs()
    _what_runs_did()
    op.create_table(
        "settings",
        _text("name"),
        _json("value"),
        _instant("updated_at", nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )


def _accounts() -> None:
    op.create_table(
        "accounts",
        _text("id"),
        _text("name"),
        sa.Column("livemode", sa.Boolean),
        _text("stripe_id", nullable=True),
        _text("display_name", nullable=True),
        _text("shown"),
        _text("fingerprint"),
        _text("reference", nullable=True),
        sa.Column("ciphertext", sa.LargeBinary),
        _text("key_version", nullable=True),
        _text("api_base"),
        _text("stripe_account", nullable=True),
        _text("status"),
        _text("problem", nullable=True),
        _json("readable"),
        _json("missing"),
        _instant("checked_at"),
        _instant("created_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
        sa.CheckConstraint("(reference IS NULL) = (ciphertext IS NOT NULL)", name=op.f("ck_accounts_one_key")),
        sa.CheckConstraint("(ciphertext IS NULL) = (key_version IS NULL)", name=op.f("ck_accounts_sealed")),
    )


def _datasets() -> None:
    op.create_table(
        "datasets",
        _text("id"),
        _text("name"),
        _text("description"),
        _text("account"),
        _text("report"),
        _json("choice"),
        _text("method"),
        _json("partition", nullable=True),
        _json("schedule"),
        _text("after", nullable=True),
        _json("retry"),
        sa.Column("deadline_minutes", sa.Integer),
        _json("pause", nullable=True),
        _json("bookmark", nullable=True),
        _instant("next_due_at"),
        sa.Column("failures", sa.Integer, nullable=False),
        _instant("created_at", nullable=False),
        _instant("updated_at", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
        sa.UniqueConstraint("name", name="uq_datasets_name"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], "fk_datasets_account"),
        sa.ForeignKeyConstraint(["after"], ["datasets.id"], "fk_datasets_after"),
    )
    for column in ("account", "after", "next_due_at"):
        op.create_index(f"ix_datasets_{column}", "datasets", [column])
    op.create_table(
        "targets",
        _text("dataset"),
        sa.Column("position", sa.Integer, nullable=False),
        _text("url"),
        _text("table"),
        _text("place"),
        sa.PrimaryKeyConstraint("dataset", "position", name="pk_targets"),
        sa.UniqueConstraint("place", name="uq_targets_place"),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.id"], "fk_targets_dataset", ondelete="CASCADE"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        _text("id"),
        _text("dataset"),
        _text("trigger"),
        _instant("due_at"),
        _text("status"),
        _instant("created_at", nullable=False),
        _instant("started_at"),
        _instant("finished_at"),
        sa.Column("attempt", sa.Integer, nullable=False),
        _json("plan"),
        *(_count(name) for name in ("read", "added", "changed", "deleted", "bytes")),
        _json("requests"),
        _json("warnings"),
        _json("error", nullable=True),
        _json("bookmark", nullable=True),
        _text("owner", nullable=True),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        _instant("deadline_at"),
        _text("reason", nullable=True),
        _instant("archive_removed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.ForeignKeyConstraint(["dataset"], ["datasets.id"], "fk_runs_dataset", ondelete="CASCADE"),
    )
    op.create_index("ix_runs_dataset_created_at", "runs", ["dataset", "created_at"])
    op.create_index("ix_runs_created_at", "runs", ["created_at"])
    op.create_index("uq_runs_dataset_due_at", "runs", ["dataset", "due_at"], unique=True)
    active = sa.text(_ACTIVE)
    op.create_index("uq_runs_active", "runs", ["dataset"], unique=True, sqlite_where=active, postgresql_where=active)


def _what_runs_did() -> None:
    op.create_table(
        "attempts",
        _text("run"),
        sa.Column("number", sa.Integer, nullable=False),
        _text("status"),
        _instant("started_at", nullable=False),
        _instant("finished_at"),
        _json("error", nullable=True),
        _text("workflow", nullable=True),
        sa.PrimaryKeyConstraint("run", "number", name="pk_attempts"),
        _of_run("attempts"),
    )
    op.create_table(
        "loads",
        _text("run"),
        _text("url"),
        _text("table"),
        _text("method"),
        _count("rows"),
        _instant("at", nullable=False),
        sa.PrimaryKeyConstraint("run", "url", "table", name="pk_loads"),
        _of_run("loads"),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "run_lines",
        sa.Column("number", number, nullable=False),
        _text("run"),
        _instant("at", nullable=False),
        _text("level"),
        _text("message"),
        _json("fields"),
        sa.PrimaryKeyConstraint("number", name="pk_run_lines"),
        _of_run("run_lines"),
    )
    op.create_index("ix_run_lines_run_number", "run_lines", ["run", "number"])


def downgrade() -> None:
    """Drops all tables."""
    for table in ("settings", "run_lines", "loads", "attempts", "runs", "targets", "datasets", "accounts"):
        op.drop_table(table)
