"""The processes that work on a state which several machines share: who is alive is said by a heartbeat.

A process that has not been heard of for a minute is dead for the others, whether it is or only stands still; what it
still does then is refused by the owner's token of its runs. The machines' clocks have to agree within some seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

import sqlalchemy as sa

from counterfoil.state.database import State
from counterfoil.state.tables import nodes

#: How often a process is to be heard of, and after how long of silence it is dead.
BEAT_SECONDS = 10.0
SILENT = timedelta(seconds=60)


class Nodes:
    """The table of them."""

    def __init__(self, state: State) -> None:
        self._state = state

    def beat(self, node: str, role: str) -> bool:
        """It is alive. False when nobody knew it: it is new, or was taken for dead meanwhile."""
        now = self._state.now()
        with self._state.begin() as connection:
            change = nodes.update().where(nodes.c.id == node).values(seen_at=now, left=False)
            if connection.execute(change).rowcount:
                return True
            connection.execute(nodes.insert().values(id=node, role=role, seen_at=now, left=False))
            return False

    def leave(self, node: str) -> None:
        """It works no more; whatever it was at is another's from now on."""
        with self._state.begin() as connection:
            connection.execute(nodes.update().where(nodes.c.id == node).values(left=True))

    def alive(self, role: str | None = None) -> set[str]:
        """Those that are heard of."""
        chosen = sa.select(nodes.c.id).where(sa.not_(nodes.c.left), nodes.c.seen_at > self._state.now() - SILENT)
        if role is not None:
            chosen = chosen.where(nodes.c.role == role)
        with self._state.read() as connection:
            return set(connection.scalars(chosen))

    @contextmanager
    def dead(self, known: Collection[str] = ()) -> Iterator[set[str]]:
        """Those that left, fell silent or are `known` to be dead; no other process is given them within the block.

        They are forgotten after the block, and not when it raises.
        """
        silent = nodes.c.seen_at <= self._state.now() - SILENT
        gone = sa.or_(nodes.c.left, silent, nodes.c.id.in_(list(known)))
        with self._state.begin() as connection:
            chosen = sa.select(nodes.c.id).where(gone).with_for_update(skip_locked=True)
            found = set(connection.scalars(chosen))
            yield found
            if found:
                connection.execute(nodes.delete().where(nodes.c.id.in_(found)))
