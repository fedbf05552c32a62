"""`counterfoil state`: the database of accounts, datasets and runs."""

from __future__ import annotations

from cyclopts import App

from counterfoil.cli.terminal.screen import say

state = App(name="state", help="Manage the database of accounts, datasets and runs.")


@state.command
def upgrade() -> None:
    """Upgrade the state to the schema of this version. Stop all other counterfoil processes first."""
    from counterfoil.settings import load_settings
    from counterfoil.state import upgrade_state

    before, now = upgrade_state(load_settings())
    if before is None:
        say(f"Created the state with schema {now}.")
    elif before == now:
        say(f"State is up to date (schema {now}).")
    else:
        say(f"Upgraded the state from schema {before} to {now}.")
