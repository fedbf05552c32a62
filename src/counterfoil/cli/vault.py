"""`counterfoil vault`: how saved keys are encrypted."""

from __future__ import annotations

import shlex
from typing import Annotated

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json
from counterfoil.cli.terminal.screen import counted, say, tell

vault = App(name="vault", help="How saved keys are encrypted.")


@vault.command
def rotate(*, as_json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False)] = False) -> int:
    """Encrypt every saved key anew.

    Without COUNTERFOIL_SECRET_KEY a new master key is made first; with it, put a new one before the others there, and
    take the old ones away after this.

    Parameters
    ----------
    as_json
        One JSON object with the number of keys, and the accounts whose keys are lost.
    """
    with open_command_app() as app:
        done = app.accounts.rotate()
    for name in done.locked:
        tell(f"The key of {name!r} can't be decrypted; enter it again: counterfoil accounts key {shlex.quote(name)}")
    if done.hash_keys_lost:
        tell("Keys of hashed columns can't be decrypted: bring the master key back that they were encrypted with.")
    for name in done.alerts_lost:
        tell(f"The address of the alert {name!r} can't be decrypted: remove it, and add it again.")
    if as_json:
        lost = {"hash_keys_lost": done.hash_keys_lost, "alerts_lost": list(done.alerts_lost)}
        print_json({"keys": done.keys, "locked": list(done.locked), **lost})
    else:
        say(f"{counted(done.keys, 'key')} encrypted anew.")
    return 1 if done.locked or done.hash_keys_lost or done.alerts_lost else 0
