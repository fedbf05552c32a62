"""`counterfoil runs`: what came of datasets."""

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

runs = App(name="runs", help="What came of datasets: how each run went, and its rows.")

_JSON = Parameter(name="--json", negative=(), show_default=False)
_FLAG = Parameter(negative=(), show_default=False)
_MANY = Parameter(negative=(), show_default=False)
_Status = Literal["queued", "running", "waiting", "succeeded", "failed", "canceled", "skipped"]
_OVER = frozenset({"succeeded", "failed", "canceled", "skipped"})
#: How often a log that is followed, or a run that is canceled, is looked at.
_LOOK_SECONDS = 0.3
#: How long a canceled run is waited for.
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
    """List runs, the newest first.

    Parameters
    ----------
    dataset
        Only those of one dataset, by name or id.
    status
        Only those of a status; may be given several times.
    limit
        At most so many.
    as_json
        One JSON object for each run.
    """
    if limit < 1:
        raise SettingsError(f"--limit {limit} is not a number of runs", hint="Give 1 or more.")
    with open_command_app() as app:
        found, names = app.runs.list(dataset, status or None, limit), app.runs.dataset_names()
    if as_json:
        from counterfoil.app.dictionaries import run_dict

        for run in found:
            print_json(run_dict(run, names[run.dataset]))
    elif not found:
        tell("There are no such runs." if dataset or status else "There are no runs yet: counterfoil run DATASET")
    else:
        from counterfoil.cli.output.runs import HEAD, cells

        print_list(HEAD, [cells(run, names[run.dataset]) for run in found])


@runs.command
def show(run: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """Show how a run went: times, attempts, rows, requests, warnings, error and tables.

    Parameters
    ----------
    run
        The run's id, as `counterfoil runs list` tells it.
    as_json
        One JSON object.
    """
    with open_command_app() as app:
        told = app.runs.show(run)
    if as_json:
        from counterfoil.app.dictionaries import detail_dict

        print_json(detail_dict(told))
        return
    from counterfoil.cli.output.runs import facts

    print_facts(list(facts(told)))


@runs.command
def logs(
    run: str,
    /,
    *,
    follow: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Print what a run said.

    Parameters
    ----------
    run
        The run's id.
    follow
        Go on until the run is over.
    as_json
        One JSON object for each line.
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
            return 128 + signal.SIGINT  # whoever follows ends it this way, and nothing was stopped


@runs.command
def cancel(run: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """End a run; its tables stay as they were before it.

    Parameters
    ----------
    run
        The run's id.
    as_json
        The run as one JSON object.
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
            say(f"Canceled the run {run}.")
        elif found.status in _OVER:
            say(f"The run {run} was over before it could be canceled: {found.status}.")
        else:
            say(f"The run {run} is asked to end, and does so at its next page or part.")


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
    """Show the rows that a run brought, or write them into a file.

    On a terminal the first 20 are shown, with as many columns as there is room for; a pipe gets all of them as CSV.

    Parameters
    ----------
    run
        The run's id.
    to
        A file whose name ends in .csv, .xlsx, .parquet or .jsonl; one that is there is replaced once the new one is
        whole.
    limit
        At most so many rows.
    as_is
        In CSV, leave text alone that a spreadsheet would run as a formula; else an apostrophe stands before it.
    as_json
        One JSON object for each row; with --to, one that says what was written.
    """
    if limit is not None and limit < 0:
        raise SettingsError(f"--limit {limit} is not a number of rows", hint="Give 0 or more.")
    if to is not None:
        from counterfoil.app.export.files import check_file

        to = to.expanduser()
        check_file(to)
    with open_command_app() as app:
        reader = app.runs.rows(run)
        if to is not None:
            from counterfoil.app.export.files import write_file

            written = write_file(reader, to, limit=limit, as_is=as_is)
            if as_json:
                print_json({"run": run, "file": str(to), "rows": written})
            else:
                say(f"Wrote {counted(written, 'row')} into {to}.")
        elif as_json:
            from counterfoil.cli.output.rows import print_rows_as_json

            print_rows_as_json(reader, limit)
        elif sys.stdout.isatty():
            from counterfoil.cli.output.rows import print_preview

            shown = print_preview(reader, limit)
            total = app.runs.get(run).counts.read
            tell(f"{shown} of {counted(total, 'row')}. All rows and columns: counterfoil runs rows {run} --to FILE.csv")
        else:
            from counterfoil.app.export.files import write_csv

            write_csv(reader, sys.stdout, limit=limit, as_is=as_is)


def revert(dataset: str, run: str, /, *, as_json: Annotated[bool, _JSON] = False) -> int:
    """Make a dataset's tables what they were after an earlier run.

    They are rebuilt from the rows that runs brought, as long as those are kept, and the next run goes on from there.

    Parameters
    ----------
    dataset
        The dataset's name or id.
    run
        The id of one of its runs that succeeded.
    as_json
        The run that did it as one JSON object.
    """
    with open_command_app() as app:
        found = app.datasets.get(dataset)
        other = app.runs.get(run)
        if other.dataset != found.id:
            raise SettingsError(
                f"The run {run} is not one of {found.name!r}, but of {app.runs.dataset_names()[other.dataset]!r}",
                hint=f"Its own: counterfoil runs list {shlex.quote(found.name)}",
            )
        return work(app, found.name, lambda look: app.runs.revert(run, look=look), as_json=as_json)
