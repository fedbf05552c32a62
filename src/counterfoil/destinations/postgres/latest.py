"""The view of the latest snapshot in a Postgres schema; it is made once, and its record follows each load."""

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
    """Refuses a snapshot whose view would take the place of something that is not ours."""
    name = latest_of(load.table)
    if has_snapshots(load, columns) and tables.kind_of(session, name) and not _is_there(session, name):
        raise latest_name_taken(load.table, place)


def keep_latest(session: Session, load: Load, columns: Iterable[str], done: Loaded) -> None:
    """Makes the view show the rows of this load; removes it where the table is no row of snapshots any more."""
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
    # Columns that were added come last, and a view that gets them keeps its rights, and what others made of it.
    select = selected(load.table, session.named(load.table), session.named(LOADS_TABLE))
    session.run(f"CREATE OR REPLACE VIEW {session.named(name)} AS {select}")
    session.run(f"COMMENT ON VIEW {session.named(name)} IS {literal(comment_of(load.table))}")


def drop_latest(session: Session, table: str) -> None:
    """Removes the view as far as it is there and ours."""
    name = latest_of(table)
    if _is_there(session, name):
        session.run(f"DROP VIEW {session.named(name)}")
    if tables.kind_of(session, LOADS_TABLE):
        tables.forget(session, name, LATEST)


def _is_there(session: Session, name: str) -> bool:
    if tables.kind_of(session, name) != "view":
        return False
    return is_ours(session.one("SELECT pg_get_viewdef(%s::regclass)", [session.named(name)]))
