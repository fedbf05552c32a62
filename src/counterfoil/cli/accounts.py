"""`counterfoil accounts`: keys of Stripe that are saved under a name."""

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

accounts = App(name="accounts", help="Keys of Stripe that are saved under a name, encrypted.")

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
    """Save a key of Stripe's under a name.

    The key is asked for without being shown, or read from stdin in a pipe; never give it as an argument. It is tried
    before anything is stored: whose it is, test or live, and what a restricted key may read.

    Parameters
    ----------
    name
        How you call the account.
    key_env
        Variable of the environment to take the key from, once.
    key_file
        File to take the key from, once.
    reference
        Where the key is kept, and read each time instead of being stored: env:NAME or file:/path.
    stripe_account
        A connected account of a platform, acct_…, which is read with the platform's key.
    api_base
        Where another Stripe is, such as a sandbox.
    as_json
        The account as one JSON object.
    """
    with open_command_app() as app:
        key = _key(key_env, key_file, reference)
        account = app.accounts.add(name, key, reference=reference, api_base=api_base, stripe_account=stripe_account)
    _print(account, as_json=as_json)


@accounts.command(name="list")
def list_accounts(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List the saved accounts.

    Parameters
    ----------
    as_json
        One JSON object for each account.
    """
    with open_command_app() as app:
        found = app.accounts.list()
    if as_json:
        _print_json(found)
    elif not found:
        tell("There are no accounts yet: counterfoil accounts add NAME")
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
    """Try a saved key again, and what it may read.

    Parameters
    ----------
    name
        The account's name or id.
    all_accounts
        Try every account; goes on after one that fails.
    as_json
        One JSON object for each account.
    """
    if (name is None) != all_accounts:
        raise SettingsError("Give the name of an account, or --all", hint="counterfoil accounts list")
    with open_command_app() as app:
        if name is not None:
            account = app.accounts.check(name)
            _print(account, as_json=as_json)
            return 0
        codes = [_check_one(app, account, as_json=as_json) for account in app.accounts.list()]
    return max(codes, default=0)


@accounts.command
def rename(name: str, new_name: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """Give an account another name.

    Parameters
    ----------
    name
        The account's name or id.
    new_name
        Its name from now on.
    as_json
        The account as one JSON object.
    """
    with open_command_app() as app:
        before = app.accounts.get(name)
        account = app.accounts.rename(before.id, new_name)
    if as_json:
        _print_json([account])
    else:
        say(f"{before.name} is {account.name} from now on.")


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
    """Replace the key of an account by another one of the same Stripe account and mode.

    It is read and tried as by `accounts add`; the old one stays in use until the new one is stored.

    Parameters
    ----------
    name
        The account's name or id.
    key_env
        Variable of the environment to take the key from, once.
    key_file
        File to take the key from, once.
    reference
        Where the key is kept, and read each time instead of being stored: env:NAME or file:/path.
    as_json
        The account as one JSON object.
    """
    with open_command_app() as app:
        account = app.accounts.get(name)
        given = _key(key_env, key_file, reference)
        account = app.accounts.replace_key(account.id, given, reference=reference)
        paused = app.accounts.paused(account.id)
    _print(account, as_json=as_json)
    for dataset in paused:
        tell(f"The dataset {dataset!r} is paused; to go on: counterfoil datasets resume {shlex.quote(dataset)}")


@accounts.command
def remove(name: str, /, *, yes: Annotated[bool, _FLAG] = False, as_json: Annotated[bool, _JSON] = False) -> int:
    """Forget an account, its key and the datasets that read it. Their tables stay.

    Parameters
    ----------
    name
        The account's name or id.
    yes
        Do it without asking.
    as_json
        One JSON object with the names of what is gone.
    """
    with open_command_app() as app:
        account = app.accounts.get(name)
        users = app.accounts.used_by(account.id)
        for dataset in users:
            tell(f"The dataset {dataset!r} stops, and goes too; its table stays.")
        if not yes and not can_ask():
            raise SettingsError(
                f"The account {account.name!r} was not removed: nobody is there to confirm it",
                hint="Say --yes to remove it" + (f", with {counted(len(users), 'dataset')}." if users else "."),
            )
        if not yes and not ask(f"Remove the account {account.name!r}?"):
            tell("Left as it was.")
            return RunError.exit_code
        gone = app.accounts.remove(account.id, with_datasets=True)
    if as_json:
        print_json({"removed": account.name, "datasets": list(gone)})
    else:
        say(f"Removed the account {account.name}" + (f" and {counted(len(gone), 'dataset')}." if gone else "."))
    return 0


def _check_one(app: DataCenter, account: Account, *, as_json: bool) -> int:
    """Checks one of all; the exit code that it alone would have."""
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
    """The key from where the words say it is; None when it stays elsewhere."""
    if sum(place is not None for place in (key_env, key_file, reference)) > 1:
        raise SettingsError(
            "The key is in more than one place", hint="Give one of --key-env, --key-file and --reference."
        )
    if reference is not None:
        return None
    return read_secret("The key, which is not shown: ", "--key", env=key_env, file=key_file)


def _print(account: Account, *, as_json: bool) -> None:
    """The account; of a restricted key, what it may read as well."""
    from counterfoil.app.accounts import readable

    if as_json:
        _print_json([account])
        return
    say(f"{account.name}: {_summary(account)}")
    if account.missing:
        rows = [(one.report, "yes" if one.readable else "no", one.permission or "") for one in readable(account)]
        print_list(("report", "may be read", "permission that is missing"), rows)


def _print_json(found: Iterable[Account]) -> None:
    from counterfoil.app.accounts import account_dict

    for account in found:
        print_json(account_dict(account))


def _summary(account: Account) -> str:
    """Whose key it is, and how much it may read."""
    from counterfoil.app.accounts import mode, readable

    whose = account.stripe_id or ""
    if account.display_name:
        whose = f"{account.display_name} ({whose})"
    if account.stripe_id and account.stripe_id.startswith("key_"):
        whose = "an account that this key may not name"
    reports = readable(account)
    may = sum(bool(one.readable) for one in reports)
    told = "reads every report" if may == len(reports) else f"reads {may} of {len(reports)} reports"
    at = "" if account.api_base == STRIPE else f", at {account.api_base}"
    return f"{mode(account)} key {account.shown} of {whose}{at}; {told}"


def _cells(account: Account) -> Iterator[str]:
    from counterfoil.app.accounts import mode

    yield account.name
    yield mode(account) or "?"
    yield account.stripe_id or "?"
    yield account.reference or account.shown
    yield shown_time(account.checked_at)
    yield account.status if account.problem is None else f"{account.status}: {account.problem}"
