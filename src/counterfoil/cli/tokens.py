"""`counterfoil tokens`: tokens for the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from counterfoil.cli.app_context import open_command_app
from counterfoil.cli.output.lists import print_json, print_list, shown_time
from counterfoil.cli.terminal.screen import say, tell

if TYPE_CHECKING:
    from counterfoil.app.tokens import Token

tokens = App(name="tokens", help="Manage API tokens. See: counterfoil docs api")

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
    """Create a token and print it once. Only its hash is stored.

    Parameters
    ----------
    name
        Purpose of the token.
    read_only
        Grant read access only.
    expires
        Lifetime, such as 12h, 90d or 4w; unlimited by default.
    as_json
        Print a JSON object with the token in `token`.
    """
    with open_command_app() as app:
        made = app.tokens.create(name, read_only=read_only, expires=expires)
    # Printed directly: the other output functions redact secrets.
    if as_json:
        from counterfoil.app.dictionaries import plain

        print(json.dumps({**plain(made.token), "token": made.secret}, ensure_ascii=False), flush=True)
        return
    print(made.secret, flush=True)
    tell("Copy the token now; it is not shown again. Send it in a header, never in a URL:")
    tell("  Authorization: Bearer TOKEN")


@tokens.command(name="list")
def list_tokens(*, as_json: Annotated[bool, _JSON] = False) -> None:
    """List tokens, including expired and revoked ones.

    Parameters
    ----------
    as_json
        Print one JSON object per token.
    """
    with open_command_app() as app:
        found = app.tokens.list()
        rows = [_cells(token, app.tokens.status(token)) for token in found]
    if as_json:
        from counterfoil.app.dictionaries import plain

        for token in found:
            print_json(plain(token))
    elif not found:
        tell("No tokens yet. Create one with: counterfoil tokens create NAME")
    else:
        print_list(("name", "scope", "created", "last used", "expires", "status"), rows)


@tokens.command
def revoke(name: str, /, *, as_json: Annotated[bool, _JSON] = False) -> None:
    """Revoke a token. Its next request is rejected.

    Parameters
    ----------
    name
        The token's name or id.
    as_json
        Print the token as a JSON object.
    """
    with open_command_app() as app:
        token = app.tokens.revoke(name)
    if as_json:
        from counterfoil.app.dictionaries import plain

        print_json(plain(token))
    else:
        say(f"Revoked token {token.name}")


def _cells(token: Token, status: str) -> tuple[str, ...]:
    times = (token.created_at, token.last_used_at, token.expires_at)
    return (token.name, token.scope, *map(shown_time, times), status)
