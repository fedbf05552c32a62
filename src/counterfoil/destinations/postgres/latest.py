"""The view of the latest snapshot in a Postgres schema. It is created once; each load updates its record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from counterfoil.destinations.latest_view import (
    LATEST,
    comment_of,
    has_snapshots,
    is_ours,
    latest_name_taken,
    latest_of,
    selected,
)
from counterfoil.destinations.postgres import tables
from counterfoil.destinations.postgres.server import Session
from counterfoil.destinations.protocol import LOADS_TABLE
from counterfoil.destinations.sql.text import literal
from counterfoil.values import Load, Loaded


def check_latest(session: Session, load: Load, columns: Iterable[str], place: str) -> None:
    """Rejects a snapshot if Counterfoil did not create what has the name of its view."""
    name = latest_of(load.table)
    if has_snapshots(load, columns) and tables.kind_of(session, name) and not _is_there(session, name):
        raise latest_name_taken(load.table, place)


def keep_latest(session: Session, load: Load, columns: Iterable[str], done: Loaded) -> None:
    """Makes the view show the rows of this load. Drops it if the table does not hold snapshots any more."""
    if not has_snapshots(load, columns):
        drop_latest(session, load.table)
        return
    name = latest_of(load.table)
    tables.forget(session, name, LATEST)
    tables.record(session, replace(load, table=name), done, method=LATEST)
    wanted = tables.columns_of(session, load.table)
    shown = tables.columns_of(session, name) if _is_there(session, name) else ()
    if shown == wanted:
        return
    if shown != wanted[: len(shown)]:
        session.run(f"DROP VIEW {session.named(name)}")
    # Added columns come last. A view that is replaced, not dropped, keeps its privileges and dependent objects.
    select = selected(load.table, session.named(load.table), session.named(LOADS_TABLE))
    session.run(f"CREATE OR REPLACE VIEW {session.named(name)} AS {select}")
    session.run(f"COMMENT ON VIEW {session.named(name)} IS {literal(comment_of(load.table))}")


def drop_latest(session: Session, table: str) -> None:
    """Drops the view if Counterfoil created it."""
    name = latest_of(table)
    if _is_there(session, name):
        session.run(f"DROP VIEW {session.named(name)}")
    if tables.kind_of(session, LOADS_TABLE):
        tables.forget(session, name, LATEST)


def _is_there(session: Session, name: str) -> bool:
    if tables.kind_of(session, name) != "view":
        return False
    return is_ours(session.one("SELECT pg_get_viewdef(%s::regclass)", [session.named(name)]))
