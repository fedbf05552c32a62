"""The tables of the state, as `migrations` creates them; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from counterfoil.dataset_options import OPTIONS

#: The name of the newest migration. Names are numbers, so that they can be compared without Alembic.
SCHEMA = max(one.name[:4] for one in Path(__file__).parent.glob("migrations/versions/[0-9]*.py"))
#: Not Alembic's default, which another program may use in the same Postgres database.
SCHEMA_TABLE = "counterfoil_schema"

#: The statuses of a run that has not ended. A dataset has at most one such run.
ACTIVE = ("queued", "running", "waiting")


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite has no time zones and stores it without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.engine.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.engine.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


#: The column types of options that have their own columns.
_OPTION_TYPES: dict[str, type[sa.types.TypeEngine[Any]]] = {"number": sa.Integer, "switch": sa.Boolean}


def _json(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=nullable)


accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("livemode", sa.Boolean),
    sa.Column("stripe_id", sa.String),
    sa.Column("display_name", sa.String),
    sa.Column("shown", sa.String, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("reference", sa.String),
    sa.Column("ciphertext", sa.LargeBinary),
    sa.Column("key_version", sa.String),
    sa.Column("api_base", sa.String, nullable=False),
    sa.Column("stripe_account", sa.String),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("problem", sa.String),
    _json("readable"),
    _json("missing"),
    sa.Column("checked_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.CheckConstraint("(reference IS NULL) = (ciphertext IS NOT NULL)", name="one_key"),
    sa.CheckConstraint("(ciphertext IS NULL) = (key_version IS NULL)", name="sealed"),
)

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("description", sa.String, nullable=False),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("report", sa.String, nullable=False),
    _json("choice"),
    sa.Column("method", sa.String, nullable=False),
    _json("partition", nullable=True),
    _json("merge", nullable=True),
    _json("schedule"),
    sa.Column("after", sa.ForeignKey("datasets.id"), index=True),
    _json("retry"),
    _json("proof", nullable=True),
    _json("pause", nullable=True),
    _json("bookmark", nullable=True),
    sa.Column("next_due_at", Instant, index=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    *(
        sa.Column(option.field, _OPTION_TYPES[option.kind])
        for option in OPTIONS
        if not option.group and option.kind in _OPTION_TYPES
    ),
)

targets = sa.Table(
    "targets",
    metadata,
    sa.Column("dataset", sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("url", sa.String, nullable=False),
    sa.Column("table", sa.String, nullable=False),
    # The normalized form of `url` and `table`, so that two datasets can't write to one table.
    sa.Column("place", sa.String, nullable=False, unique=True),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("dataset", sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
    sa.Column("trigger", sa.String, nullable=False),
    sa.Column("due_at", Instant),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    sa.Column("attempt", sa.Integer, nullable=False),
    _json("plan"),
    sa.Column("read", sa.BigInteger, nullable=False),
    sa.Column("added", sa.BigInteger, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    _json("requests"),
    _json("warnings"),
    _json("error", nullable=True),
    _json("bookmark", nullable=True),
    sa.Column("owner", sa.String),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("deadline_at", Instant),
    sa.Column("reason", sa.String),
    sa.Column("archive_removed_at", Instant),
    sa.Index("ix_runs_dataset_created_at", "dataset", "created_at"),
    sa.Index("ix_runs_created_at", "created_at"),
    # A due time runs once, regardless of the number of nodes and restarts.
    sa.Index("uq_runs_dataset_due_at", "dataset", "due_at", unique=True),
)

# One active run per dataset: the database itself rejects a second one from any process.
_active = runs.c.status.in_(ACTIVE)
sa.Index("uq_runs_active", runs.c.dataset, unique=True, sqlite_where=_active, postgresql_where=_active)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    _json("error", nullable=True),
    sa.Column("workflow", sa.String),
)

loads = sa.Table(
    "loads",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("url", sa.String, primary_key=True),
    sa.Column("table", sa.String, primary_key=True),
    sa.Column("method", sa.String, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

run_lines = sa.Table(
    "run_lines",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("level", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False),
    _json("fields"),
    sa.Index("ix_run_lines_run_number", "run", "number"),
)

checks = sa.Table(
    "checks",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("url", sa.String, nullable=False),
    sa.Column("table", sa.String, nullable=False),
    sa.Column("family", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("result", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    _json("figures"),
    _json("differences"),
    sa.Column("made_at", Instant, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("shown", sa.String, nullable=False),
    sa.Column("ciphertext", sa.LargeBinary, nullable=False),
    sa.Column("key_version", sa.String, nullable=False),
    _json("kinds"),
    sa.Column("problem", sa.String),
    sa.Column("sent_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
)

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("alert", sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    # The event that it reports: an alert gets one notice per event.
    sa.Column("about", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("title", sa.String, nullable=False),
    sa.Column("body", sa.String, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_at", Instant, index=True),
    sa.Column("sent_at", Instant),
    sa.UniqueConstraint("alert", "about"),
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("role", sa.String, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
    sa.Column("left", sa.Boolean, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    # The token itself is not stored.
    sa.Column("hash", sa.String, nullable=False, unique=True),
    sa.Column("scope", sa.String, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("last_used_at", Instant),
    sa.Column("expires_at", Instant),
    sa.Column("revoked_at", Instant),
)

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    _json("value"),
    sa.Column("updated_at", Instant, nullable=False),
)
