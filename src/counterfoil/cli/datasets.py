"""`counterfoil datasets`: a report of an account with its destinations and schedule."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.dataset_flags import FLAG, JSON, ChoiceFlags, Flags
from counterfoil.cli.output.lists import print_facts, print_json, print_list, shown_time
from counterfoil.cli.terminal.screen import ask, can_ask, counted, say, tell
from counterfoil.errors import RunError, SettingsError

if TYPE_CHECKING:
    from counterfoil.app.datasets.service import PlannedDataset
    from counterfoil.state.dataset import Dataset

datasets = App(name="datasets", help="Manage datasets: a report of an account with its destinations and schedule.")
datasets.command("counterfoil.cli.runs:revert", help="Roll back a dataset's tables to an earlier run.")


@datasets.command
def create(
    name: str,
    /,
    *,
    account: str,
    report: str,
    flags: Flags = Flags(),  # noqa: B008 - frozen
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Create a dataset: a report of an account with its destinations and schedule.

    Validates all options and the destination before it saves the dataset. Prints the next five runs and the estimated
    API requests per month.

    Parameters
    ----------
    name
        Name of the dataset.
    account
        The account's name or id.
    report
        A report's key, as listed by `counterfoil reports`.
    as_json
        Print the dataset as a JSON object.
    """
    from counterfoil.app.datasets.input import read_changes

    with open_command_app() as app:
        planned = app.datasets.create(
            name,
            account=account,
            report=report,
            overwrite=flags.overwrite,
            dry_run=flags.dry_run,
            **read_changes(flags.given()),
        )
    _print_planned(planned, "Created", as_json=as_json)


@datasets.command
def edit(
    name: str,
    /,
    *,
    new_name: Annotated[str | None, Parameter(name="--name")] = None,
    account: str | None = None,
    flags: Flags = Flags(),  # noqa: B008 - frozen
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Change a dataset. An empty value, or 0, restores the default of an option.

    The report cannot be changed. After a change of account, table, method or period, the next run is a full refresh.

    Parameters
    ----------
    name
        The dataset's name or id.
    new_name
        New name.
    account
        Name or id of another account.
    as_json
        Print the dataset as a JSON object.
    """
    from counterfoil.app.datasets.input import read_changes

    with open_command_app() as app:
        names = {"name": new_name, "account": account}
        names = {field: word for field, word in names.items() if word is not None}
        changes = read_changes(flags.given(), app.datasets.get(name)) | names
        if not (flags.given() or names):
            raise SettingsError("no change specified", hint="List the options: counterfoil datasets edit --help")
        planned = app.datasets.edit(name, overwrite=flags.overwrite, dry_run=flags.dry_run, **changes)
    _print_planned(planned, "Changed", as_json=as_json)


@datasets.command(name="list")
def list_datasets(*, as_json: Annotated[bool, JSON] = False) -> None:
    """List datasets with their next and last runs.

    Parameters
    ----------
    as_json
        Print one JSON object per dataset.
    """
    with open_command_app() as app:
        found = app.datasets.list()
    if as_json:
        from counterfoil.app.datasets.dictionaries import summary_dict

        for shown in found:
            print_json(summary_dict(shown))
    elif not found:
        tell("No datasets yet. Create one with: counterfoil datasets create NAME --account ACCOUNT --report REPORT")
    else:
        from counterfoil.cli.output.datasets import LIST, list_line

        print_list(LIST, [list_line(shown) for shown in found])


@datasets.command
def show(name: str, /, *, as_json: Annotated[bool, JSON] = False) -> None:
    """Show a dataset, its next five runs and its estimated API requests per month.

    Parameters
    ----------
    name
        The dataset's name or id.
    as_json
        Print a JSON object.
    """
    with open_command_app() as app:
        shown, outlook = app.datasets.show(name), app.datasets.outlook(name)
        places = app.datasets.places(shown.dataset)
    if as_json:
        from counterfoil.app.datasets.dictionaries import summary_dict

        print_json({**summary_dict(shown), "outlook": outlook.as_dict()})
        return
    from counterfoil.cli.output.datasets import forecast_facts, summary_facts

    print_facts([*summary_facts(shown, places), *forecast_facts(shown.dataset, outlook)])
    if outlook.warning:
        tell(f"warning: {outlook.warning}")


@datasets.command
def preview(
    name: str | None = None,
    /,
    *,
    account: str | None = None,
    report: str | None = None,
    flags: ChoiceFlags = ChoiceFlags(),  # noqa: B008 - frozen
    rows: int = 20,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Preview the rows that the next run of a dataset, or a report of an account, would read.

    Reads one page and stores nothing. Applies --leave-out and --hash.

    Parameters
    ----------
    name
        The dataset's name or id.
    account
        Without a dataset: the account's name or id.
    report
        Without a dataset: the report's key.
    rows
        Maximum number of rows, up to 100.
    as_json
        Print one JSON object per row.
    """
    if (name is None) == (account is None or report is None) or (name is not None and (account or report)):
        raise SettingsError(
            "a preview requires either a dataset, or --account and --report",
            hint="Pass the dataset's name, or both --account and --report.",
        )
    with open_command_app() as app:
        if name is not None:
            if flags != ChoiceFlags():
                raise SettingsError(
                    "options cannot be combined with a dataset", hint="Pass --account and --report instead."
                )
            found = app.datasets.preview(name, rows=rows)
        else:
            from counterfoil.app.datasets.input import read_changes

            choice = read_changes(flags.given())["choice"]
            found = app.datasets.preview_report(str(account), str(report), choice=choice, rows=rows)
    from counterfoil.cli.output.datasets import print_preview

    print_preview(found, as_json=as_json)


@datasets.command
def export(
    name: str,
    file: Path,
    /,
    *,
    limit: int | None = None,
    as_is: Annotated[bool, FLAG] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Export the rows of a dataset's table to a CSV, Excel, Parquet or JSON Lines file.

    Parameters
    ----------
    name
        The dataset's name or id.
    file
        File to write (.csv, .xlsx, .parquet or .jsonl); an existing file is replaced atomically.
    limit
        Maximum number of rows.
    as_is
        Do not escape formulas in CSV. By default, an apostrophe precedes text that a spreadsheet would execute.
    as_json
        Print a JSON object with the file and the number of rows.
    """
    from counterfoil.app.export.amounts import currencies_of
    from counterfoil.app.export.files import check_file, write_file

    if limit is not None and limit < 0:
        raise SettingsError(f"invalid --limit: {limit}", hint="Use 0 or more.")
    file = file.expanduser()
    check_file(file)
    with open_command_app() as app, app.tables.export(name) as rows:
        currencies = currencies_of(app.datasets.get(name).report)
        written = write_file(rows, file, currencies=currencies, limit=limit, as_is=as_is)
    if as_json:
        print_json({"dataset": name, "file": str(file), "rows": written})
    else:
        say(f"Wrote {counted(written, 'row')} to {file}")


@datasets.command
def pause(name: str, /, *, reason: str = "Paused manually", as_json: Annotated[bool, JSON] = False) -> None:
    """Pause scheduled runs. A run in progress continues.

    Parameters
    ----------
    name
        The dataset's name or id.
    reason
        Reason for the pause.
    as_json
        Print the dataset as a JSON object.
    """
    with open_command_app() as app:
        dataset = app.datasets.pause(name, reason)
    if as_json:
        _print_json(dataset)
    else:
        say(f"Paused {dataset.name}. Resume it with: counterfoil datasets resume {shlex.quote(dataset.name)}")


@datasets.command
def resume(name: str, /, *, as_json: Annotated[bool, JSON] = False) -> None:
    """Resume scheduled runs of a paused dataset.

    Parameters
    ----------
    name
        The dataset's name or id.
    as_json
        Print the dataset as a JSON object.
    """
    with open_command_app() as app:
        dataset = app.datasets.resume(name)
    if as_json:
        _print_json(dataset)
    else:
        due = shown_time(dataset.next_due_at, dataset.schedule.zone)
        say(f"Resumed {dataset.name}" + (f". Next run: {due}" if due else ""))


@datasets.command
def reload(name: str, /, *, to: str | None = None, as_json: Annotated[bool, JSON] = False) -> int:
    """Schedule a full refresh for the next run, or rebuild one table from the archive.

    Parameters
    ----------
    name
        The dataset's name or id.
    to
        Rebuild the table of this destination now, without API requests. Adds the destination if it is new.
    as_json
        Print the dataset as a JSON object; with --to, the run.
    """
    if to is not None:
        from counterfoil.cli.run_command import work

        url = to
        with open_command_app() as app:
            return work(app, app.datasets.get(name).name, lambda look: app.fill(name, url, look=look), as_json=as_json)
    with open_command_app() as app:
        dataset = app.datasets.reload(name)
    if as_json:
        _print_json(dataset)
    else:
        say(f"The next run of {dataset.name} is a full refresh.")
    return 0


@datasets.command
def remove(
    name: str,
    /,
    *,
    drop_table: Annotated[bool, FLAG] = False,
    yes: Annotated[bool, FLAG] = False,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Remove a dataset, its runs and their archives. Keeps the table unless --drop-table is passed.

    Parameters
    ----------
    name
        The dataset's name or id.
    drop_table
        Drop the table too.
    yes
        Do not ask for confirmation.
    as_json
        Print the removed dataset as a JSON object.
    """
    with open_command_app() as app:
        dataset = app.datasets.get(name)
        tables = " and ".join(app.datasets.places(dataset))
        removed = f"its runs and its table {tables}" if drop_table else "its runs"
        if not yes and not can_ask():
            raise SettingsError(
                f"dataset {dataset.name!r} not removed: no terminal to confirm on",
                hint=f"Pass --yes to remove it with {removed}.",
            )
        if not yes and not ask(f"Remove dataset {dataset.name!r} with {removed}?"):
            tell("Aborted. Nothing was removed.")
            return RunError.exit_code
        app.datasets.remove(dataset.id, drop_table=drop_table)
    if as_json:
        _print_json(dataset)
    else:
        say(f"Removed dataset {dataset.name} with {removed}" + ("" if drop_table else f". Kept table {tables}"))
    return 0


def _print_planned(planned: PlannedDataset, done: str, *, as_json: bool) -> None:
    from counterfoil.app.datasets.dictionaries import planned_dict
    from counterfoil.cli.output.datasets import forecast_facts

    for warning in planned.warnings:
        tell(f"warning: {warning}")
    if as_json:
        print_json(planned_dict(planned))
        return
    dataset = planned.dataset
    result = "Dry run, not saved" if planned.dry_run else done
    say(f"{result}: {dataset.name}, {dataset.report} to {' and '.join(planned.places)} ({dataset.method})")
    print_facts(forecast_facts(dataset, planned.outlook))


def _print_json(dataset: Dataset) -> None:
    from counterfoil.app.datasets.dictionaries import dataset_dict

    print_json(dataset_dict(dataset))
