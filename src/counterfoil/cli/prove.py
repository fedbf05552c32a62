"""`counterfoil prove`: verifies a dataset against Stripe and prints the statement of completeness."""

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
    """Verify a dataset against Stripe and print a statement of completeness.

    Compares the archive of the last run with the table, and the table with Stripe: the balance, payouts, references to
    other tables, and rows that are read again. The exit code is 1 if a check fails.

    Parameters
    ----------
    dataset
        The dataset's name or id.
    run
        Print the stored checks of this run without checking again.
    recount
        Number of random time windows to read again and compare field by field; "all" for all data.
    seed
        Seed that selects the windows, as printed in a statement.
    payouts
        Check the N newest payouts.
    as_json
        Print the statement as a JSON object.
    html
        File to write the statement to, as a printable HTML page.
    text
        File to write the statement to, as text.
    """
    windows = _windows(recount)
    if payouts < 0:
        raise SettingsError(f"invalid --payouts: {payouts}", hint="Use 0 or more.")
    with open_command_app() as app:
        if run is not None:
            statement = app.proofs.kept(dataset, run)
            if not statement.checks:
                hint = "Omit --run to check the dataset now."
                raise RunError(f"no checks stored for run {run}", hint=hint)
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
        raise SettingsError(f"invalid --recount: {word}", hint='Use 1 to 1,000, or "all".')
    return int(word)


def _write(file: Path, words: str) -> None:
    path = file.expanduser()
    try:
        path.write_text(redacted(words), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}", hint="Choose another file.") from error
    tell(f"Wrote {path}")
