"""Checks before a process works together with nodes on other machines."""

from __future__ import annotations

import secrets

from counterfoil.destinations.kinds import kind_of
from counterfoil.engine.nodes import host_of, this_host
from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.runs.run_context import RunContext
from counterfoil.state import State
from counterfoil.state.nodes import Nodes

_MARK = "archive"
_FILE = "counterfoil-archive"


def check_shared(state: State) -> None:
    """SettingsError if several machines cannot share the state."""
    if state.url.drivername == "sqlite":
        raise SettingsError(
            "a worker requires a shared state in Postgres, but the state is a file",
            hint="Set COUNTERFOIL_STATE_URL to a Postgres database, or for one machine run: counterfoil serve",
        )


def check_beside_others(state: State, records: RunContext) -> None:
    """Checks that this process shares the archive and the destinations of the other nodes.

    SettingsError names the folder or destination that is not shared.
    """
    if state.url.drivername == "sqlite":
        return
    _check_archive(state, records)
    elsewhere = {host_of(node) for node in Nodes(state).alive()} - {this_host()}
    if not elsewhere:
        return
    for dataset in records.datasets.list():
        for target in dataset.targets:
            if kind_of(target.url).local:
                raise SettingsError(
                    f"the table of dataset {dataset.name!r} in {redacted(target.url)} is local to one machine, "
                    f"but nodes on other machines use this state: {', '.join(sorted(elsewhere))}",
                    hint="Move the table to a database that all machines can reach, or stop the other nodes.",
                )


def _check_archive(state: State, records: RunContext) -> None:
    """Checks by an id in a file that this process uses the same archive folder as the other nodes."""
    folder = records.settings.archive
    file = folder / _FILE
    with state.begin():
        known = state.setting(_MARK)
        if known is None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = secrets.token_hex(8)
            file.write_text(f"{known}\n", encoding="ascii")
            state.keep_setting(_MARK, known)
            return
    try:
        found = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if found != known:
        raise SettingsError(
            f"the archive {folder} differs from the archive of the other nodes",
            hint=f"Set COUNTERFOIL_ARCHIVE_PATH to the shared folder, or write {known} to {file} if that is lost.",
        )
