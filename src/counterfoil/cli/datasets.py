"""`counterfoil datasets`: what is read of an account, where to and when."""

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

datasets = App(name="datasets", help="What is read of an account, where to and when.")
datasets.command("counterfoil.cli.runs:revert", help="Make its tables what they were after an earlier run.")


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
    """Save a dataset: a report of an account, where to and when.

    Everything is checked before anything is saved, the destination too. Then the next five times are shown, and how
    many requests a month that makes.

    Parameters
    ----------
    name
        How you call the dataset.
    account
        The account's name or id.
    report
        A report's key, as `counterfoil reports` lists them.
    as_json
        The dataset as one JSON object.
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
    """Change what is given of a dataset; an empty word, or 0, takes a choice back.

    Another report is another dataset. With another account, table, method or period the next run reads everything.

    Parameters
    ----------
    name
        The dataset's name or id.
    new_name
        Its name from now on.
    account
        Another account's name or id.
    as_json
        The dataset as one JSON object.
    """
    from counterfoil.app.datasets.input import read_changes

    with open_command_app() as app:
        names = {"name": new_name, "account": account}
        names = {field: word for field, word in names.items() if word is not None}
        changes = read_changes(flags.given(), app.datasets.get(name)) | names
        if not (flags.given() or names):
            raise SettingsError("There is nothing to change", hint="`counterfoil datasets edit --help` lists what can.")
        planned = app.datasets.edit(name, overwrite=flags.overwrite, dry_run=flags.dry_run, **changes)
    _print_planned(planned, "Changed", as_json=as_json)


@datasets.command(name="list")
def list_datasets(*, as_json: Annotated[bool, JSON] = False) -> None:
    """List the datasets, with their next and their last runs.

    Parameters
    ----------
    as_json
        One JSON object for each dataset.
    """
    with open_command_app() as app:
        found = app.datasets.list()
    if as_json:
        from counterfoil.app.datasets.dictionaries import summary_dict

        for shown in found:
            print_json(summary_dict(shown))
    elif not found:
        tell("There are no datasets yet: counterfoil datasets create NAME --account ACCOUNT --report REPORT")
    else:
        from counterfoil.cli.output.datasets import LIST, list_line

        print_list(LIST, [list_line(shown) for shown in found])


@datasets.command
def show(name: str, /, *, as_json: Annotated[bool, JSON] = False) -> None:
    """Tell everything about a dataset: its next five times, and the requests a month that they make.

    Parameters
    ----------
    name
        The dataset's name or id.
    as_json
        One JSON object.
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
    """Show the first rows of a dataset, or of a report of an account, as a run would bring them now.

    One page is read and nothing is stored; columns that are left out or hashed are so here too.

    Parameters
    ----------
    name
        The dataset's name or id.
    account
        Without a dataset: the account's name or id.
    report
        Without a dataset: the report's key.
    rows
        At most so many, up to 100.
    as_json
        One JSON object for each row.
    """
    if (name is None) == (account is None or report is None) or (name is not None and (account or report)):
        raise SettingsError(
            "A preview is of a dataset, or of a report of an account",
            hint="Give the dataset's name, or both --account and --report.",
        )
    with open_command_app() as app:
        if name is not None:
            if flags != ChoiceFlags():
                raise SettingsError("A dataset brings its own choices", hint="Give --account and --report instead.")
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
    """Write the rows of a dataset's table into a file: CSV, Excel, Parquet or lines of JSON, by its name.

    Parameters
    ----------
    name
        The dataset's name or id.
    file
        Its name ends in .csv, .xlsx, .parquet or .jsonl; one that is there is replaced once the new one is whole.
    limit
        At most so many rows.
    as_is
        In CSV, leave text alone that a spreadsheet would run as a formula; else an apostrophe stands before it.
    as_json
        One JSON object that says what was written.
    """
    from counterfoil.app.export.files import check_file, write_file

    if limit is not None and limit < 0:
        raise SettingsError(f"--limit {limit} is not a number of rows", hint="Give 0 or more.")
    file = file.expanduser()
    check_file(file)
    with open_command_app() as app, app.tables.export(name) as rows:
        written = write_file(rows, file, limit=limit, as_is=as_is)
    if as_json:
        print_json({"dataset": name, "file": str(file), "rows": written})
    else:
        say(f"Wrote {counted(written, 'row')} into {file}.")


@datasets.command
def pause(name: str, /, *, reason: str = "Paused by hand.", as_json: Annotated[bool, JSON] = False) -> None:
    """Let a dataset not run by itself any more; one that runs goes on.

    Parameters
    ----------
    name
        The dataset's name or id.
    reason
        Why.
    as_json
        The dataset as one JSON object.
    """
    with open_command_app() as app:
        dataset = app.datasets.pause(name, reason)
    if as_json:
        _print_json(dataset)
    else:
        say(f"{dataset.name} is paused. To go on: counterfoil datasets resume {shlex.quote(dataset.name)}")


@datasets.command
def resume(name: str, /, *, as_json: Annotated[bool, JSON] = False) -> None:
    """Let a paused dataset run by itself again, from its next time on.

    Parameters
    ----------
    name
        The dataset's name or id.
    as_json
        The dataset as one JSON object.
    """
    with open_command_app() as app:
        dataset = app.datasets.resume(name)
    if as_json:
        _print_json(dataset)
    else:
        due = shown_time(dataset.next_due_at, dataset.schedule.zone)
        say(f"{dataset.name} goes on" + (f"; it runs next at {due}." if due else "."))


@datasets.command
def reload(name: str, /, *, to: str | None = None, as_json: Annotated[bool, JSON] = False) -> int:
    """Let the next run of a dataset read everything again; or fill one table from what is kept, without Stripe.

    Parameters
    ----------
    name
        The dataset's name or id.
    to
        A destination, of the dataset or a new one, which it has from then on: its table is made anew, now.
    as_json
        The dataset as one JSON object; with --to, the run.
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
        say(f"The next run of {dataset.name} reads everything.")
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
    """Forget a dataset, its runs and what is kept of them. Its table stays, unless it is to be dropped.

    Parameters
    ----------
    name
        The dataset's name or id.
    drop_table
        Remove its table as well.
    yes
        Do it without asking.
    as_json
        The dataset that is gone as one JSON object.
    """
    with open_command_app() as app:
        dataset = app.datasets.get(name)
        tables = " and ".join(app.datasets.places(dataset))
        goes = f"its runs and its table {tables}" if drop_table else "its runs"
        if not yes and not can_ask():
            raise SettingsError(
                f"The dataset {dataset.name!r} was not removed: nobody is there to confirm it",
                hint=f"Say --yes to remove it with {goes}.",
            )
        if not yes and not ask(f"Remove the dataset {dataset.name!r} with {goes}?"):
            tell("Left as it was.")
            return RunError.exit_code
        app.datasets.remove(dataset.id, drop_table=drop_table)
    if as_json:
        _print_json(dataset)
    else:
        say(f"Removed the dataset {dataset.name} with {goes}." + ("" if drop_table else f" The table stays: {tables}."))
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
    kept = "Nothing was saved; this would be" if planned.dry_run else f"{done}:"
    say(f"{kept} {dataset.name}, {dataset.report} into {' and '.join(planned.places)} ({dataset.method})")
    print_facts(forecast_facts(dataset, planned.outlook))


def _print_json(dataset: Dataset) -> None:
    from counterfoil.app.datasets.dictionaries import dataset_dict

    print_json(dataset_dict(dataset))
