"""The way in for programs: a token in the header `Authorization`, and nowhere else."""

from __future__ import annotations

from math import ceil
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from counterfoil.app.tokens import TokenService
from counterfoil.errors import CounterfoilError
from counterfoil.logging import get_logger, redacted
from counterfoil.web.access.throttle import Throttle
from counterfoil.web.api.problems import answer

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Parameters in which other services take tokens.
_IN_ADDRESS = frozenset({"token", "access_token", "api_key", "key", "authorization", "bearer"})
_HOW = "Send it as the header Authorization: Bearer cf_…"

_log = get_logger("web")


class Bearer:
    """Lets in whoever has a token that works, and leaves what is known of it in `request.state.token`.

    Wrong tokens are answered slowly, like wrong passwords. One that works is never kept waiting by those of others:
    256 random bits are not guessed.
    """

    def __init__(self, tokens: TokenService, throttle: Throttle) -> None:
        self._tokens = tokens
        self._throttle = throttle

    async def refusal(self, request: Request) -> Response | None:
        """Why the request is not let in; None when it is. For the event loop alone: the throttle is for one caller."""
        if _is_in_address(request):
            hint = "Addresses are kept in logs and histories: revoke this token if it is one, and make another. "
            return answer("token_in_address", "A token never goes into an address", hint + _HOW)
        given = request.headers.getlist("authorization")
        scheme, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not secret.strip():
            return _unknown("token_missing", "A token is needed", _HOW, 'Bearer realm="counterfoil"')
        try:
            found = await run_in_threadpool(self._tokens.find, secret.strip())
        except CounterfoilError as error:
            _log.error("tokens can't be read", error=str(error))
            return answer("unavailable", "The service can't look up tokens now", "Its log says why. Try again.")
        who = f"address {request.client.host if request.client else ''}"
        if found is None:
            return self._wrong(who)
        self._throttle.succeeded(who)
        request.state.token = found
        if found.scope == "read" and request.method not in _SAFE:
            return answer(
                "read_only",
                f"The token {found.name!r} may only read",
                "Use one that was made without read-only.",
                {"WWW-Authenticate": 'Bearer realm="counterfoil", error="insufficient_scope"'},
            )
        return None

    def _wrong(self, who: str) -> Response:
        wait = self._throttle.wait_seconds(who)
        if wait > 0:
            seconds = str(ceil(wait))
            return answer("throttled", f"Try again in {seconds} s", None, {"Retry-After": seconds})
        self._throttle.failed(who)
        return _unknown(
            "token_refused",
            "The token is unknown, expired or revoked",
            "`counterfoil tokens list` shows those that work.",
            'Bearer realm="counterfoil", error="invalid_token"',
        )


def _unknown(code: str, detail: str, hint: str, challenge: str) -> Response:
    return answer(code, detail, hint, {"WWW-Authenticate": challenge})


def _is_in_address(request: Request) -> bool:
    query = request.scope["query_string"].decode("latin-1")
    pairs = parse_qsl(query, keep_blank_values=True)
    return any(name.lower() in _IN_ADDRESS or "cf_…" in redacted(f"{name} {value}") for name, value in pairs)
