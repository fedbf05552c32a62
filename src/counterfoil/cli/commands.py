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
    help="Load Stripe reports into typed tables in your own database, verify them and keep them up to date.",
    help_epilogue="Never pass an API key as an argument: pull reads STRIPE_API_KEY, accounts add prompts for the key. "
    "Exit codes: 0 success, 1 run failed, 2 invalid usage or settings, 3 Stripe denied access.",
    version=__version__,
    error_formatter=plain_error,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command("counterfoil.cli.accounts:accounts", name="accounts", help="Manage accounts (Stripe API keys).")
app.command("counterfoil.cli.alerts:alerts", name="alerts", help="Manage alerts about failures and recoveries.")
app.command("counterfoil.cli.config:apply", help="Apply accounts and datasets from a TOML file.")
app.command("counterfoil.cli.datasets:datasets", name="datasets", help="Manage datasets.")
app.command(
    "counterfoil.cli.demo.command:demo", help="Start a demo with a simulated Stripe and three months of sample runs."
)
app.command("counterfoil.cli.docs:docs", help="Read the documentation.")
app.command("counterfoil.cli.config:export", help="Print accounts and datasets as a TOML file.")
app.command("counterfoil.cli.prove:prove", help="Verify a dataset against Stripe and print a statement.")
app.command("counterfoil.cli.pull:pull", help="Load a report, or all reports, into a table.")
app.command("counterfoil.cli.reports:reports", help="List reports, their columns and types.")
app.command("counterfoil.cli.run_command:run", help="Run a dataset now.")
app.command("counterfoil.cli.runs:runs", name="runs", help="Inspect runs and the rows they read.")
app.command("counterfoil.cli.sandbox:sandbox", help="Serve a simulated Stripe API with sample data.")
app.command("counterfoil.cli.serve:serve", help="Start the service: scheduler, worker, web UI and API.")
app.command("counterfoil.cli.state:state", name="state", help="Manage the database of accounts, datasets and runs.")
app.command("counterfoil.cli.tokens:tokens", name="tokens", help="Manage API tokens.")
app.command("counterfoil.cli.vault:vault", name="vault", help="Manage the encryption of saved keys.")

app.command("counterfoil.cli.worker:worker", help="Start a worker in addition to a service, on any machine.")


def run(words: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code. Prints every error on stderr."""
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
        tell("Interrupted. Unfinished tables are unchanged.")
        for note in getattr(stop, "__notes__", ()):
            tell(f"  {note}")
        return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
    return result if isinstance(result, int) else 0
