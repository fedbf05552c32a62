"""The processes of several machines that share a state; each sends heartbeats while it is alive.

A process without a heartbeat for a minute counts as dead, even if it only hangs. The ownership tokens of its runs then
reject its later writes. The machines' clocks must agree within some seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

import sqlalchemy as sa

from counterfoil.state.database import State
from counterfoil.state.tables import nodes

#: The interval of heartbeats, and the time without one after which a process counts as dead.
BEAT_SECONDS = 10.0
SILENT = timedelta(seconds=60)


class Nodes:
    """The table of processes."""

    def __init__(self, state: State) -> None:
        self._state = state

    def beat(self, node: str, role: str) -> bool:
        """Records a heartbeat. False if the process is not in the table: it is new, or was considered dead."""
        now = self._state.now()
        with self._state.begin() as connection:
            change = nodes.update().where(nodes.c.id == node).values(seen_at=now, left=False)
            if connection.execute(change).rowcount:
                return True
            connection.execute(nodes.insert().values(id=node, role=role, seen_at=now, left=False))
            return False

    def leave(self, node: str) -> None:
        """Marks the node as dead; its work is reassigned."""
        with self._state.begin() as connection:
            connection.execute(nodes.update().where(nodes.c.id == node).values(left=True))

    def alive(self, role: str | None = None) -> set[str]:
        """The processes that are alive."""
        chosen = sa.select(nodes.c.id).where(sa.not_(nodes.c.left), nodes.c.seen_at > self._state.now() - SILENT)
        if role is not None:
            chosen = chosen.where(nodes.c.role == role)
        with self._state.read() as connection:
            return set(connection.scalars(chosen))

    @contextmanager
    def dead(self, known: Collection[str] = ()) -> Iterator[set[str]]:
        """Processes that left, sent no heartbeat or are `known` to be dead; no other process gets them in the block.

        They are deleted after the block, unless it raises.
        """
        silent = nodes.c.seen_at <= self._state.now() - SILENT
        gone = sa.or_(nodes.c.left, silent, nodes.c.id.in_(list(known)))
        with self._state.begin() as connection:
            chosen = sa.select(nodes.c.id).where(gone).with_for_update(skip_locked=True)
            found = set(connection.scalars(chosen))
            yield found
            if found:
                connection.execute(nodes.delete().where(nodes.c.id.in_(found)))
