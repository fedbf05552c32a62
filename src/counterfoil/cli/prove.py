"""`counterfoil prove`: checks a dataset against Stripe, and prints the statement."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json
from counterfoil.cli.terminal.screen import say, tell, watching
from counterfoil.errors import RunError, SettingsError
from counterfoil.logging import redacted

_JSON = Parameter(name="--json", negative=(), show_default=False)


def prove(
    dataset: str,
    /,
    *,
    run: str | None = None,
    recount: str = "3",
    seed: int | None = None,
    payouts: int = 30,
    as_json: Annotated[bool, _JSON] = False,
    html: Path | None = None,
    text: Path | None = None,
) -> int:
    """Check that a dataset is complete and right, and print a statement that can be kept.

    What its last run read and loaded is compared with its table, and the table with what Stripe says: the balance,
    payouts, references to other tables, and rows that are read again. The exit code is 1 when a check fails.

    Parameters
    ----------
    dataset
        The dataset's name or id.
    run
        Check nothing, and print what was checked of this run.
    recount
        How many windows of time, chosen by chance, are read again and compared field by field; "all" for everything.
    seed
        Chooses the same windows as before; a statement tells its seed.
    payouts
        How many of the newest payouts are added up.
    as_json
        The statement as one JSON object.
    html
        A file for the statement as a page that prints well.
    text
        A file for the statement as text.
    """
    windows = _windows(recount)
    if payouts < 0:
        raise SettingsError(f"--payouts {payouts} is not a number of payouts", hint="Give 0 or more.")
    with open_command_app() as app:
        if run is not None:
            statement = app.proofs.kept(dataset, run)
            if not statement.checks:
                hint = "Without --run the dataset is checked now."
                raise RunError(f"Nothing was checked of the run {run}", hint=hint)
        else:
            with watching() as screen:
                statement = app.proofs.prove(
                    dataset, recount=windows, seed=seed, payouts=payouts, observe=screen.observe
                )
    from counterfoil.proof.statement import as_dict, as_html, as_text

    if as_json:
        print_json(as_dict(statement))
    else:
        for line in as_text(statement).splitlines():
            say(line)
    if html is not None:
        _write(html, as_html(statement))
    if text is not None:
        _write(text, as_text(statement))
    return RunError.exit_code if statement.result == "FAIL" else 0


def _windows(word: str) -> int | None:
    if word == "all":
        return None
    if not word.isdecimal() or not 1 <= int(word) <= 1000:
        raise SettingsError(f"--recount {word} is not a number of windows", hint='Give 1 to 1,000, or "all".')
    return int(word)


def _write(file: Path, words: str) -> None:
    path = file.expanduser()
    try:
        path.write_text(redacted(words), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror}", hint="Choose another file.") from error
    tell(f"Wrote {path}.")
