"""`counterfoil alerts`: who is told when something goes wrong."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json, print_list, shown_time
from counterfoil.cli.terminal.screen import ask, can_ask, say, tell
from counterfoil.cli.terminal.secret_input import read_secret
from counterfoil.errors import RunError, SettingsError

if TYPE_CHECKING:
    from counterfoil.state.alert import Alert

alerts = App(name="alerts", help="Who is told when something goes wrong, and when it works again.")

_FLAG = Parameter(negative=(), show_default=False)
_JSON = Parameter(name="--json", negative=(), show_default=False)
_ON = Parameter(name="--on", negative=())
#: As in `state.alert`, which `--help` is not to wait for.
Kind = Literal["failed", "recovered", "paused", "late", "proof"]


@alerts.command
def add(
    name: str,
    /,
    *,
    on: Annotated[tuple[Kind, ...] | None, _ON] = None,
    url_env: str | None = None,
    url_file: Path | None = None,
    test: Annotated[bool, _FLAG] = False,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Save an address that is told: of mail, Slack, Teams, Discord, a webhook and whatever else Apprise knows.

    The address is asked for without being shown, or read from stdin in a pipe, since it holds a password or a token;
    never give it as an argument. It is kept encrypted. See docs/alerts.md for examples.

    Parameters
    ----------
    name
        How you call it.
    on
        What it is told of; may be given several times. Everything unless given: a run that failed for good, the first
        that succeeds after it, a dataset that was paused, one that is late, and a check that failed.
    url_env
        Variable of the environment to take the address from.
    url_file
        File to take the address from.
    test
        Send a few words there at once.
    as_json
        The alert as one JSON object.
    """
    with open_command_app() as app:
        url = read_secret("The address, which is not shown: ", "--url", env=url_env, file=url_file)
        made = app.alerts.add(name, url, **({} if not on else {"kinds": on}))
        if test:
            made = app.alerts.test(made.id)
    _print([made], as_json=as_json)


@alerts.command(name="list")
def list_alerts(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List who is told, of what, and whether it arrived.

    Parameters
    ----------
    as_json
        One JSON object for each alert.
    """
    with open_command_app() as app:
        found = app.alerts.list()
    if not found and not as_json:
        tell("Nobody is told of anything yet: counterfoil alerts add NAME")
        return
    _print(found, as_json=as_json)


@alerts.command
def edit(
    name: str,
    /,
    *,
    rename: str | None = None,
    on: Annotated[tuple[Kind, ...] | None, _ON] = None,
    url_env: str | None = None,
    url_file: Path | None = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Change what somebody is told of, the name, or the address.

    Parameters
    ----------
    name
        The alert's name or id.
    rename
        Another name.
    on
        What it is told of from now on; may be given several times.
    url_env
        Variable of the environment with another address.
    url_file
        File with another address.
    as_json
        The alert as one JSON object.
    """
    if rename is None and not on and url_env is None and url_file is None:
        raise SettingsError("Nothing was given to change", hint="Give --rename, --on, --url-env or --url-file.")
    with open_command_app() as app:
        url = None
        if url_env is not None or url_file is not None:
            url = read_secret("", "--url", env=url_env, file=url_file)
        made = app.alerts.edit(name, name=rename, url=url, kinds=on or None)
    _print([made], as_json=as_json)


@alerts.command
def test(name: str, /) -> None:
    """Send a few words there now.

    Parameters
    ----------
    name
        The alert's name or id.
    """
    with open_command_app() as app:
        found = app.alerts.test(name)
    say(f"{found.name}: arrived at {found.shown}.")


@alerts.command
def remove(name: str, /, *, yes: Annotated[bool, _FLAG] = False) -> int:
    """Tell nobody there any more.

    Parameters
    ----------
    name
        The alert's name or id.
    yes
        Do it without asking.
    """
    with open_command_app() as app:
        found = app.alerts.get(name)
        if not yes and not can_ask():
            raise SettingsError(
                f"The alert {found.name!r} was not removed: nobody is there to confirm it",
                hint="Say --yes to remove it.",
            )
        if not yes and not ask(f"Remove the alert {found.name!r}?"):
            tell("Left as it was.")
            return RunError.exit_code
        app.alerts.remove(found.id)
    say(f"Removed the alert {found.name}.")
    return 0


def _print(found: Iterable[Alert], *, as_json: bool) -> None:
    if as_json:
        from counterfoil.app.dictionaries import plain

        for alert in found:
            print_json(plain(alert))
        return
    print_list(
        ("name", "address", "told of", "last arrived", "status"),
        [(one.name, one.shown, ", ".join(one.kinds), shown_time(one.sent_at), one.problem or "ok") for one in found],
    )
