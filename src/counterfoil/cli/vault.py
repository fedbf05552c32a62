"""`counterfoil vault`: encryption of saved keys."""

from __future__ import annotations

import shlex
from typing import Annotated

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json
from counterfoil.cli.terminal.screen import counted, say, tell

vault = App(name="vault", help="Manage the encryption of saved keys.")


@vault.command
def rotate(*, as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False) -> int:
    """Re-encrypt every saved key with the first master key.

    Without COUNTERFOIL_SECRET_KEY, creates a new master key first. With it, put the new master key first in the list
    before this command, and remove the old ones afterwards.

    Parameters
    ----------
    as_json
        Print a JSON object with the number of keys and the names of the accounts with lost keys.
    """
    with open_command_app() as app:
        done = app.accounts.rotate()
    for name in done.locked:
        tell(f"Cannot decrypt the key of {name!r}. Enter it again: counterfoil accounts key {shlex.quote(name)}")
    if done.hash_keys_lost:
        tell("Cannot decrypt the keys of hashed columns. Restore the master key that encrypted them.")
    for name in done.alerts_lost:
        tell(f"Cannot decrypt the URL of alert {name!r}. Remove the alert and add it again.")
    if as_json:
        lost = {"hash_keys_lost": done.hash_keys_lost, "alerts_lost": list(done.alerts_lost)}
        print_json({"keys": done.keys, "locked": list(done.locked), **lost})
    else:
        say(f"Re-encrypted {counted(done.keys, 'key')}")
    return 1 if done.locked or done.hash_keys_lost or done.alerts_lost else 0
