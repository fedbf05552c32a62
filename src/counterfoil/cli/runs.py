"""`counterfoil runs`: runs and the rows they read."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_facts, print_json, print_list
from counterfoil.cli.run_command import work
from counterfoil.cli.terminal.screen import counted, say, tell
from counterfoil.errors import SettingsError

runs = App(name="runs", help="Inspect runs and the rows they read.")

_JSON = Parameter(name="--json", negative=(), show_default=False)
_FLAG = Parameter(negative=(), show_default=False)
_MANY = Parameter(negative=(), show_default=False)
_Status = Literal["queued", "running", "waiting", "succeeded", "failed", "canceled", "skipped"]
_OVER = frozenset({"succeeded", "failed", "canceled", "skipped"})
#: Poll interval for the log of a run and for the end of a canceled run.
_LOOK_SECONDS = 0.3
#: How long to wait for the end of a canceled run.
_CANCEL_SECONDS = 10


@runs.command(name="list")
def list_runs(
    dataset: str | None = None,
    /,
    *,
    status: Annotated[tuple[_Status, ...], _MANY] = (),
    limit: int = 20,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """List runs, newest first.

    Parameters
    ----------
    dataset
        Only runs of this dataset (name or id).
    status
        Only runs with this status; repeatable.
    limit
        Maximum number of runs.
    as_json
        Print one JSON object per run.
    """
    if limit < 1:
        raise SettingsError(f"invalid --limit: {limit}", hint="Use 1 or more.")
    with open_command_app() as app:
        found, names = app.runs.list(dataset, status or None, limit), app.runs.dataset_names()
    if as_json:
        from counterfoil.app.dictionaries import run_dict

        for run in found:
            print_json(run_dict(run, names[run.dataset]))
    elif not found:
        tell("No matching runs." if dataset or status else "No runs yet. Start one with: counterfoil run DATASET")
    else:
        from counterfoil.cli.output.runs import HEAD, cells

        print_list(HEAD, [cells(run, names[run.dataset]) for run in found])


@runs.command
def show(run: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """Show a run: times, attempts, rows, API requests, warnings, error and tables.

    Parameters
    ----------
    run
        The run's id, as listed by `counterfoil runs list`.
    as_json
        Print a JSON object.
    """
    with open_command_app() as app:
        detail = app.runs.show(run)
    if as_json:
        from counterfoil.app.dictionaries import detail_dict

        print_json(detail_dict(detail))
        return
    from counterfoil.cli.output.runs import facts

    print_facts(list(facts(detail)))


@runs.command
def logs(
    run: str,
    /,
    *,
    follow: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Print the log of a run.

    Parameters
    ----------
    run
        The run's id.
    follow
        Print new lines until the run ends.
    as_json
        Print one JSON object per line.
    """
    from counterfoil.app.dictionaries import plain
    from counterfoil.cli.output.runs import line_of

    with open_command_app() as app:
        after = 0
        try:
            while True:
                over = not follow or app.runs.get(run).status in _OVER
                for line in app.runs.lines(run, after=after):
                    after = line.number
                    if as_json:
                        print_json(plain(line))
                    else:
                        say(line_of(line))
                if over:
                    return 0
                time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            return 128 + signal.SIGINT  # only ends following; the run continues


@runs.command
def cancel(run: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """Cancel a run. Tables that it has not loaded remain unchanged.

    Parameters
    ----------
    run
        The run's id.
    as_json
        Print the run as a JSON object.
    """
    with open_command_app() as app:
        found = app.runs.cancel(run)
        until = time.monotonic() + _CANCEL_SECONDS
        while found.status not in _OVER and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            found = app.runs.get(run)
        if as_json:
            from counterfoil.app.dictionaries import detail_dict

            print_json(detail_dict(app.runs.show(run)))
        elif found.status == "canceled":
            say(f"Canceled run {run}")
        elif found.status in _OVER:
            say(f"Run {run} ended before it was canceled: {found.status}")
        else:
            say(f"Canceling run {run}; it ends after its current page or part")


@runs.command
def rows(
    run: str,
    /,
    *,
    to: Path | None = None,
    limit: int | None = None,
    as_is: Annotated[bool, _FLAG] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Show the rows that a run read, or write them to a file.

    A terminal shows the first 20 rows and the columns that fit; a pipe gets all rows and columns as CSV.

    Parameters
    ----------
    run
        The run's id.
    to
        File to write (.csv, .xlsx, .parquet or .jsonl); an existing file is replaced atomically.
    limit
        Maximum number of rows.
    as_is
        Do not escape formulas in CSV. By default, an apostrophe precedes text that a spreadsheet would execute.
    as_json
        Print one JSON object per row; with --to, one with the file and the number of rows.
    """
    if limit is not None and limit < 0:
        raise SettingsError(f"invalid --limit: {limit}", hint="Use 0 or more.")
    if to is not None:
        from counterfoil.app.export.files import check_file

        to = to.expanduser()
        check_file(to)
    with open_command_app() as app:
        from counterfoil.app.export.amounts import currencies_of

        reader = app.runs.rows(run)
        currencies = currencies_of(app.runs.get(run).plan["report"])
        if to is not None:
            from counterfoil.app.export.files import write_file

            written = write_file(reader, to, currencies=currencies, limit=limit, as_is=as_is)
            if as_json:
                print_json({"run": run, "file": str(to), "rows": written})
            else:
                say(f"Wrote {counted(written, 'row')} to {to}")
        elif as_json:
            from counterfoil.cli.output.rows import print_rows_as_json

            print_rows_as_json(reader, limit, currencies)
        elif sys.stdout.isatty():
            from counterfoil.cli.output.rows import print_preview

            shown = print_preview(reader, limit, currencies)
            total = app.runs.get(run).counts.read
            tell(f"{shown} of {counted(total, 'row')}. Export all of them: counterfoil runs rows {run} --to FILE.csv")
        else:
            from counterfoil.app.export.files import write_csv

            write_csv(reader, sys.stdout, currencies=currencies, limit=limit, as_is=as_is)


def revert(dataset: str, run: str, /, *, as_json: Annotated[bool, _JSON] = False) -> int:
    """Roll back a dataset's tables to an earlier run.

    Rebuilds the tables from archives, while they are stored. The next run continues from the restored version.

    Parameters
    ----------
    dataset
        The dataset's name or id.
    run
        The id of a successful run of the dataset.
    as_json
        Print the run that performs the rollback as a JSON object.
    """
    with open_command_app() as app:
        found = app.datasets.get(dataset)
        other = app.runs.get(run)
        if other.dataset != found.id:
            raise SettingsError(
                f"run {run} belongs to dataset {app.runs.dataset_names()[other.dataset]!r}, not {found.name!r}",
                hint=f"List its runs: counterfoil runs list {shlex.quote(found.name)}",
            )
        return work(app, found.name, lambda look: app.runs.revert(run, look=look), as_json=as_json)
