"""`counterfoil accounts`: saved Stripe API keys."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json, print_list, shown_time
from counterfoil.cli.terminal.screen import ask, can_ask, counted, fail, say, tell
from counterfoil.cli.terminal.secret_input import read_secret
from counterfoil.errors import CounterfoilError, RunError, SettingsError

if TYPE_CHECKING:
    from counterfoil.app.app import App as DataCenter
    from counterfoil.state.accounts import Account

accounts = App(name="accounts", help="Manage accounts: named Stripe API keys, stored encrypted.")

_FLAG = Parameter(negative=(), show_default=False)
_JSON = Parameter(name="--json", negative=(), show_default=False)
STRIPE = "https://api.stripe.com"


@accounts.command
def add(
    name: str,
    /,
    *,
    key_env: str | None = None,
    key_file: Path | None = None,
    reference: str | None = None,
    stripe_account: Annotated[str | None, Parameter(env_var="STRIPE_ACCOUNT")] = None,
    api_base: Annotated[str | None, Parameter(env_var="STRIPE_API_BASE")] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Add an account: a Stripe API key under a name.

    Prompts for the key without echo, or reads it from stdin in a pipe; never pass it as an argument. Tests the key
    before storing it: its account, its mode (test or live) and the permissions of a restricted key.

    Parameters
    ----------
    name
        Name of the account.
    key_env
        Environment variable to read the key from, once.
    key_file
        File to read the key from, once.
    reference
        Reference to the key, read at each use instead of storing the key: env:NAME or file:/path.
    stripe_account
        Connected account of a platform (acct_…), read with the platform's key.
    api_base
        URL of another Stripe API, such as a sandbox.
    as_json
        Print the account as a JSON object.
    """
    with open_command_app() as app:
        key = _key(key_env, key_file, reference)
        account = app.accounts.add(name, key, reference=reference, api_base=api_base, stripe_account=stripe_account)
    _print(account, as_json=as_json)


@accounts.command(name="list")
def list_accounts(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List accounts.

    Parameters
    ----------
    as_json
        Print one JSON object per account.
    """
    with open_command_app() as app:
        found = app.accounts.list()
    if as_json:
        _print_json(found)
    elif not found:
        tell("No accounts yet. Add one with: counterfoil accounts add NAME")
    else:
        print_list(
            ("name", "mode", "stripe account", "key", "checked", "status"),
            [tuple(_cells(account)) for account in found],
        )


@accounts.command
def check(
    name: str | None = None,
    /,
    *,
    all_accounts: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> int:
    """Test a saved key and its permissions.

    Parameters
    ----------
    name
        The account's name or id.
    all_accounts
        Test every account; continue after a failure.
    as_json
        Print one JSON object per account.
    """
    if (name is None) != all_accounts:
        raise SettingsError(
            "exactly one of NAME and --all is required", hint="List the accounts: counterfoil accounts list"
        )
    with open_command_app() as app:
        if name is not None:
            account = app.accounts.check(name)
            _print(account, as_json=as_json)
            return 0
        codes = [_check_one(app, account, as_json=as_json) for account in app.accounts.list()]
    return max(codes, default=0)


@accounts.command
def rename(name: str, new_name: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """Rename an account.

    Parameters
    ----------
    name
        The account's name or id.
    new_name
        The new name.
    as_json
        Print the account as a JSON object.
    """
    with open_command_app() as app:
        before = app.accounts.get(name)
        account = app.accounts.rename(before.id, new_name)
    if as_json:
        _print_json([account])
    else:
        say(f"Renamed account {before.name} to {account.name}")


@accounts.command
def key(
    name: str,
    /,
    *,
    key_env: str | None = None,
    key_file: Path | None = None,
    reference: str | None = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Replace the key of an account with another key of the same Stripe account and mode.

    Reads and tests the key like `accounts add`. The old key stays in use until the new one is stored.

    Parameters
    ----------
    name
        The account's name or id.
    key_env
        Environment variable to read the key from, once.
    key_file
        File to read the key from, once.
    reference
        Reference to the key, read at each use instead of storing the key: env:NAME or file:/path.
    as_json
        Print the account as a JSON object.
    """
    with open_command_app() as app:
        account = app.accounts.get(name)
        given = _key(key_env, key_file, reference)
        account = app.accounts.replace_key(account.id, given, reference=reference)
        paused = app.accounts.paused(account.id)
    _print(account, as_json=as_json)
    for dataset in paused:
        tell(f"Dataset {dataset!r} is paused. Resume it with: counterfoil datasets resume {shlex.quote(dataset)}")


@accounts.command
def remove(name: str, /, *, yes: Annotated[bool, _FLAG] = False, as_json: Annotated[bool, _JSON] = False) -> int:
    """Remove an account, its key and its datasets. Tables are not deleted.

    Parameters
    ----------
    name
        The account's name or id.
    yes
        Do not ask for confirmation.
    as_json
        Print the removed names as a JSON object.
    """
    with open_command_app() as app:
        account = app.accounts.get(name)
        users = app.accounts.used_by(account.id)
        for dataset in users:
            tell(f"Dataset {dataset!r} will be removed too. Its table is not deleted.")
        if not yes and not can_ask():
            raise SettingsError(
                f"account {account.name!r} not removed: no terminal to confirm on",
                hint="Pass --yes to remove it" + (f" and its {counted(len(users), 'dataset')}." if users else "."),
            )
        if not yes and not ask(f"Remove account {account.name!r}?"):
            tell("Aborted. Nothing was removed.")
            return RunError.exit_code
        removed = app.accounts.remove(account.id, with_datasets=True)
    if as_json:
        print_json({"removed": account.name, "datasets": list(removed)})
    else:
        say(f"Removed account {account.name}" + (f" and {counted(len(removed), 'dataset')}" if removed else ""))
    return 0


def _check_one(app: DataCenter, account: Account, *, as_json: bool) -> int:
    """Checks one account; returns its exit code."""
    code = 0
    try:
        account = app.accounts.check(account.id)
    except CounterfoilError as error:
        tell(f"{account.name}:")
        fail(error)
        code = error.exit_code
    if as_json:
        _print_json([app.accounts.get(account.id)])
    elif code == 0:
        say(f"{account.name}: {_summary(account)}")
    return code


def _key(key_env: str | None, key_file: Path | None, reference: str | None) -> str | None:
    """The key from the option or the prompt; None for a reference."""
    if sum(source is not None for source in (key_env, key_file, reference)) > 1:
        raise SettingsError(
            "more than one source of the key", hint="Pass only one of --key-env, --key-file and --reference."
        )
    if reference is not None:
        return None
    return read_secret("API key: ", "--key", env=key_env, file=key_file)


def _print(account: Account, *, as_json: bool) -> None:
    """Prints the account and, for a restricted key, its access to each report."""
    from counterfoil.app.accounts import readable

    if as_json:
        _print_json([account])
        return
    say(f"{account.name}: {_summary(account)}")
    if account.missing:
        rows = [(one.report, "yes" if one.readable else "no", one.permission or "") for one in readable(account)]
        print_list(("report", "readable", "missing permission"), rows)


def _print_json(found: Iterable[Account]) -> None:
    from counterfoil.app.accounts import account_dict

    for account in found:
        print_json(account_dict(account))


def _summary(account: Account) -> str:
    """The key, its Stripe account and the number of readable reports."""
    from counterfoil.app.accounts import mode, readable

    owner = account.stripe_id or ""
    if account.display_name:
        owner = f"{account.display_name} ({owner})"
    if account.stripe_id and account.stripe_id.startswith("key_"):
        owner = "an unknown account (the key cannot read it)"
    reports = readable(account)
    count = sum(bool(one.readable) for one in reports)
    access = "can read all reports" if count == len(reports) else f"can read {count} of {len(reports)} reports"
    at = "" if account.api_base == STRIPE else f", at {account.api_base}"
    return f"{mode(account)} key {account.shown} of {owner}{at}; {access}"


def _cells(account: Account) -> Iterator[str]:
    from counterfoil.app.accounts import mode

    yield account.name
    yield mode(account) or "?"
    yield account.stripe_id or "?"
    yield account.reference or account.shown
    yield shown_time(account.checked_at)
    yield account.status if account.problem is None else f"{account.status}: {account.problem}"
