"""`counterfoil tokens`: with which other programs come in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json, print_list, shown_time
from counterfoil.cli.terminal.screen import say, tell

if TYPE_CHECKING:
    from counterfoil.app.tokens import Token

tokens = App(name="tokens", help="Tokens with which other programs use the service, by docs/api.md.")

_FLAG = Parameter(negative=(), show_default=False)
_JSON = Parameter(name="--json", negative=(), show_default=False)


@tokens.command
def create(
    name: str,
    /,
    *,
    read_only: Annotated[bool, _FLAG] = False,
    expires: str | None = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Make a token, and print it. It is shown this once: only its hash is kept.

    Parameters
    ----------
    name
        What it is for.
    read_only
        It may look at everything and change nothing.
    expires
        How long it works: 12h, 90d, 4w; until it is revoked unless given.
    as_json
        One JSON object; the token is its `token`.
    """
    with open_command_app() as app:
        made = app.tokens.create(name, read_only=read_only, expires=expires)
    # Printed as it is: every other way out would take it for a secret that got lost.
    if as_json:
        from counterfoil.app.dictionaries import plain

        print(json.dumps({**plain(made.token), "token": made.secret}, ensure_ascii=False), flush=True)
        return
    print(made.secret, flush=True)
    tell("Keep it now: it is not shown again. It goes into a header, never into an address:")
    tell("  Authorization: Bearer TOKEN")


@tokens.command(name="list")
def list_tokens(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List the tokens, those that do not work any more too.

    Parameters
    ----------
    as_json
        One JSON object for each token.
    """
    with open_command_app() as app:
        found = app.tokens.list()
        rows = [_cells(token, app.tokens.status(token)) for token in found]
    if as_json:
        from counterfoil.app.dictionaries import plain

        for token in found:
            print_json(plain(token))
    elif not found:
        tell("There are no tokens yet: counterfoil tokens create NAME")
    else:
        print_list(("name", "scope", "created", "last used", "expires", "status"), rows)


@tokens.command
def revoke(name: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """Let a token work no more, from its next request on.

    Parameters
    ----------
    name
        The token's name or id.
    as_json
        The token as one JSON object.
    """
    with open_command_app() as app:
        token = app.tokens.revoke(name)
    if as_json:
        from counterfoil.app.dictionaries import plain

        print_json(plain(token))
    else:
        say(f"The token {token.name} does not work any more.")


def _cells(token: Token, status: str) -> tuple[str, ...]:
    times = (token.created_at, token.last_used_at, token.expires_at)
    return (token.name, token.scope, *map(shown_time, times), status)
