"""`counterfoil apply` and `counterfoil export`: accounts and datasets as a TOML file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json
from counterfoil.cli.terminal.screen import counted, say, tell
from counterfoil.errors import SettingsError

if TYPE_CHECKING:
    from counterfoil.app.config.service import Applied, Change

_FLAG = Parameter(negative=(), show_default=False)
_JSON = Parameter(name="--json", negative=(), show_default=False)
_SIGNS = {"create": "+", "change": "~"}


def apply(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    diff: Annotated[bool, _FLAG] = False,
    overwrite: Annotated[bool, _FLAG] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Apply accounts and datasets from a TOML file, in one transaction.

    Accounts and datasets that are not in the file remain unchanged. Applying a file twice has no further effect. The
    file references keys: key = "env:NAME" or key = "file:/path". See: counterfoil docs configuration

    Parameters
    ----------
    file
        The file, or - for stdin.
    diff
        Dry run: validate the file and show the changes.
    overwrite
        Let first runs replace tables that contain more rows than the dataset selects.
    as_json
        Print the changes as a JSON object.
    """
    text = _read(file)
    with open_command_app() as app:
        applied = app.config.apply(text, dry_run=diff, overwrite=overwrite)
    if as_json:
        print_json(asdict(applied))
        return
    for line in _lines(applied):
        say(line)
    for change in applied.changes:
        for warning in change.warnings:
            tell(f"{change.kind} {change.name}: {warning}")


def export() -> None:
    """Print all accounts and datasets as a TOML file for apply. Stored keys are not included."""
    with open_command_app() as app:
        text, stored = app.config.export(), app.config.stored_keys()
    say(text.rstrip("\n"))
    if stored:
        tell(f"Stored keys are not included: {', '.join(stored)}.")
        tell('  To create these accounts from the file, add key = "env:NAME" or key = "file:/path" to each.')


def _read(file: Path) -> str:
    try:
        if str(file) == "-":
            return sys.stdin.read()
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SettingsError(
            f"cannot read {file}: {reason}", hint="Use a TOML file, such as the output of: counterfoil export"
        ) from error


def _lines(applied: Applied) -> Iterator[str]:
    changed = [change for change in applied.changes if change.action != "none"]
    for change in changed:
        yield f"{_SIGNS[change.action]} {change.kind} {change.name}"
        yield from (f"    {line}" for line in _words(change))
    same = len(applied.changes) - len(changed)
    summary = f"{counted(len(changed), 'change')}, {same:,} unchanged"
    yield f"{summary} (dry run: nothing was changed)" if applied.dry_run and changed else summary
    if applied.others:
        yield f"Not in the file, unchanged: {', '.join(applied.others)}"


def _words(change: Change) -> Iterator[str]:
    for word in {**change.before, **change.after}:
        before, after = _said(change.before, word), _said(change.after, word)
        yield f"{word} = {after}" if change.action == "create" else f"{word}: {before} -> {after}"


def _said(words: Mapping[str, Any], word: str) -> str:
    return json.dumps(words[word], ensure_ascii=False) if word in words else "(default)"
