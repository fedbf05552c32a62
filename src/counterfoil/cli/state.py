"""`counterfoil state`: the database that remembers accounts, datasets and runs."""

from __future__ import annotations

from cyclopts import App

from counterfoil.cli.terminal.screen import say

state = App(name="state", help="The database that remembers accounts, datasets and runs.")


@state.command
def upgrade() -> None:
    """Bring the state of an older program up to this one. Stop every other counterfoil process before."""
    from counterfoil.settings import load_settings
    from counterfoil.state import upgrade_state

    before, now = upgrade_state(load_settings())
    if before is None:
        say(f"A new state was made, with the schema {now}.")
    elif before == now:
        say(f"The state has the schema {now} already.")
    else:
        say(f"The state was brought from the schema {before} to {now}.")
