"""More than one machine: what has to be so before a process works beside those of another one."""

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
    """SettingsError unless the state is one that several machines can share."""
    if state.url.drivername == "sqlite":
        raise SettingsError(
            "A worker shares its state with other processes, and this one is a file",
            hint="Set COUNTERFOIL_STATE_URL to a Postgres database. On one machine alone: counterfoil serve",
        )


def check_beside_others(state: State, records: RunContext) -> None:
    """What a process that is about to work with a shared state needs: the archive and destinations of the others.

    SettingsError names what is not shared.
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
                    f"The dataset {dataset.name!r} has its table in {redacted(target.url)}, which one machine has, "
                    f"and others work on this state: {', '.join(sorted(elsewhere))}",
                    hint="Move it to a database that all of them reach, or stop the processes of the others.",
                )


def _check_archive(state: State, records: RunContext) -> None:
    """Whether the archive's folder is the one that the others have: a file in it says so."""
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
            f"The archive {folder} is not the one of the other processes on this state",
            hint="Set COUNTERFOIL_ARCHIVE_PATH to the folder that all machines share. If the old one is lost, "
            f"write {known} into {file}.",
        )
