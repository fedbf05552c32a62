"""The state: accounts, datasets and runs, in one database."""

from counterfoil.state.database import State, open_state, upgrade_state

__all__ = ["State", "open_state", "upgrade_state"]
