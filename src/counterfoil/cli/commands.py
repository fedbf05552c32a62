"""All commands. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from counterfoil.cli.terminal.interrupts import Terminated
from counterfoil.cli.terminal.screen import fail, plain_error, tell
from counterfoil.errors import CounterfoilError, SettingsError
from counterfoil.extras import missing_extra
from counterfoil.version import __version__

app = App(
    name="counterfoil",
    help="Stripe reports as typed, complete, current tables in your own database.",
    help_epilogue="A key is never an argument: pull reads STRIPE_API_KEY, accounts add asks. Exit codes: 0 done, "
    "1 the run failed, 2 wrong usage or setting, 3 the account was refused.",
    version=__version__,
    error_formatter=plain_error,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command("counterfoil.cli.accounts:accounts", name="accounts", help="Keys of Stripe, saved under a name.")
app.command("counterfoil.cli.alerts:alerts", name="alerts", help="Who is told when something goes wrong.")
app.command("counterfoil.cli.config:apply", help="Make accounts and datasets what a file says.")
app.command("counterfoil.cli.datasets:datasets", name="datasets", help="What is read of an account, where to and when.")
app.command(
    "counterfoil.cli.demo.command:demo", help="Try it: the page on a simulated Stripe, with three months of runs."
)
app.command("counterfoil.cli.config:export", help="Print accounts and datasets as a file.")
app.command("counterfoil.cli.prove:prove", help="Check that a dataset is complete, and print a statement.")
app.command("counterfoil.cli.pull:pull", help="Read a report, or all of them, into a table.")
app.command("counterfoil.cli.reports:reports", help="List what can be read: titles, columns and types.")
app.command("counterfoil.cli.run_command:run", help="Run a dataset now.")
app.command("counterfoil.cli.runs:runs", name="runs", help="What came of datasets: how each run went, and its rows.")
app.command("counterfoil.cli.sandbox:sandbox", help="Serve a simulated Stripe with two years of an invented company.")
app.command("counterfoil.cli.serve:serve", help="Run datasets when they are due, until stopped.")
app.command("counterfoil.cli.state:state", name="state", help="The database of accounts, datasets and runs.")
app.command("counterfoil.cli.tokens:tokens", name="tokens", help="Tokens with which other programs use the service.")
app.command("counterfoil.cli.vault:vault", name="vault", help="How saved keys are encrypted.")

app.command("counterfoil.cli.worker:worker", help="Run datasets beside a service, on this machine or another.")


def run(words: Sequence[str] | None = None) -> int:
    """The command's exit code; every error has been told on stderr."""
    try:
        result = app(words, exit_on_error=False, print_error=True)
    except CycloptsError:
        return SettingsError.exit_code
    except CounterfoilError as error:
        fail(error)
        return error.exit_code
    except ModuleNotFoundError as missing:
        needed = missing_extra(missing, "this command")
        if needed is None:
            raise
        fail(needed)
        return needed.exit_code
    except KeyboardInterrupt as stop:
        tell("Stopped; a table that was not finished is as it was before.")
        for note in getattr(stop, "__notes__", ()):
            tell(f"  {note}")
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    return result if isinstance(result, int) else 0
