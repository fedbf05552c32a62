"""`counterfoil alerts`: notifications about failures and recoveries."""

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

alerts = App(name="alerts", help="Manage alerts: notifications about failures and recoveries.")

_FLAG = Parameter(negative=(), show_default=False)
_JSON = Parameter(name="--json", negative=(), show_default=False)
_ON = Parameter(name="--on", negative=())
#: The same as in `state.alert`, which would slow down `--help`.
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
    """Add an alert: a URL for email, Slack, Teams, Discord, webhooks or another Apprise service.

    Prompts for the URL without echo, or reads it from stdin in a pipe; never pass it as an argument: it contains a
    password or token. Stores it encrypted. See: counterfoil docs alerts

    Parameters
    ----------
    name
        Name of the alert.
    on
        Event to send; repeatable; all by default. The events are: a run failed after all retries, a run succeeded
        after a failure, a dataset was paused, a dataset is late, a check failed.
    url_env
        Environment variable to read the URL from.
    url_file
        File to read the URL from.
    test
        Send a test message.
    as_json
        Print the alert as a JSON object.
    """
    with open_command_app() as app:
        url = read_secret("URL: ", "--url", env=url_env, file=url_file)
        made = app.alerts.add(name, url, **({} if not on else {"kinds": on}))
        if test:
            made = app.alerts.test(made.id)
    _print([made], as_json=as_json)


@alerts.command(name="list")
def list_alerts(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List alerts, their events and their delivery status.

    Parameters
    ----------
    as_json
        Print one JSON object per alert.
    """
    with open_command_app() as app:
        found = app.alerts.list()
    if not found and not as_json:
        tell("No alerts yet. Add one with: counterfoil alerts add NAME")
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
    """Change the name, the events or the URL of an alert.

    Parameters
    ----------
    name
        The alert's name or id.
    rename
        New name.
    on
        Event to send, instead of the present events; repeatable.
    url_env
        Environment variable to read the new URL from.
    url_file
        File to read the new URL from.
    as_json
        Print the alert as a JSON object.
    """
    if rename is None and not on and url_env is None and url_file is None:
        raise SettingsError("no change specified", hint="Pass --rename, --on, --url-env or --url-file.")
    with open_command_app() as app:
        url = None
        if url_env is not None or url_file is not None:
            url = read_secret("", "--url", env=url_env, file=url_file)
        made = app.alerts.edit(name, name=rename, url=url, kinds=on or None)
    _print([made], as_json=as_json)


@alerts.command
def test(name: str, /) -> None:
    """Send a test message.

    Parameters
    ----------
    name
        The alert's name or id.
    """
    with open_command_app() as app:
        found = app.alerts.test(name)
    say(f"Sent a test message to {found.name} ({found.shown})")


@alerts.command
def remove(name: str, /, *, yes: Annotated[bool, _FLAG] = False) -> int:
    """Remove an alert.

    Parameters
    ----------
    name
        The alert's name or id.
    yes
        Do not ask for confirmation.
    """
    with open_command_app() as app:
        found = app.alerts.get(name)
        if not yes and not can_ask():
            raise SettingsError(
                f"alert {found.name!r} not removed: no terminal to confirm on",
                hint="Pass --yes to remove it.",
            )
        if not yes and not ask(f"Remove alert {found.name!r}?"):
            tell("Aborted. Nothing was removed.")
            return RunError.exit_code
        app.alerts.remove(found.id)
    say(f"Removed alert {found.name}")
    return 0


def _print(found: Iterable[Alert], *, as_json: bool) -> None:
    if as_json:
        from counterfoil.app.dictionaries import plain

        for alert in found:
            print_json(plain(alert))
        return
    print_list(
        ("name", "url", "events", "last sent", "status"),
        [(one.name, one.shown, ", ".join(one.kinds), shown_time(one.sent_at), one.problem or "ok") for one in found],
    )
