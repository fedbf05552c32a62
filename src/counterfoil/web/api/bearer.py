"""Authentication of API clients: a token in the header `Authorization`, and nowhere else."""

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
#: Query parameters in which other services accept tokens.
_IN_ADDRESS = frozenset({"token", "access_token", "api_key", "key", "authorization", "bearer"})
_HOW = "Send a token in the header Authorization: Bearer cf_…"

_log = get_logger("web")


class Bearer:
    """Checks the token of a request and stores it in `request.state.token`.

    Wrong tokens are throttled like wrong passwords. Valid tokens are never delayed: 256 random bits can't be guessed.
    """

    def __init__(self, tokens: TokenService, throttle: Throttle) -> None:
        self._tokens = tokens
        self._throttle = throttle

    async def refusal(self, request: Request) -> Response | None:
        """The response that rejects the request; None if it is allowed. Call it in the event loop only."""
        if _is_in_address(request):
            hint = "Revoke this token, since logs store URLs. Send a new one in the header Authorization: Bearer cf_…"
            return answer("token_in_address", "token in the URL", hint)
        given = request.headers.getlist("authorization")
        scheme, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not secret.strip():
            return _unknown("token_missing", "no token in the request", _HOW, 'Bearer realm="counterfoil"')
        try:
            found = await run_in_threadpool(self._tokens.find, secret.strip())
        except CounterfoilError as error:
            _log.error("tokens can't be read", error=str(error))
            return answer(
                "unavailable", "tokens are unavailable", "Try again, or see the log of the service for details."
            )
        who = f"address {request.client.host if request.client else ''}"
        if found is None:
            return self._wrong(who)
        self._throttle.succeeded(who)
        request.state.token = found
        if found.scope == "read" and request.method not in _SAFE:
            return answer(
                "read_only",
                f"token {found.name!r} is read-only",
                "Use a token with full access.",
                {"WWW-Authenticate": 'Bearer realm="counterfoil", error="insufficient_scope"'},
            )
        return None

    def _wrong(self, who: str) -> Response:
        wait = self._throttle.wait_seconds(who)
        if wait > 0:
            seconds = str(ceil(wait))
            return answer("throttled", "too many wrong tokens", f"Try again in {seconds} s.", {"Retry-After": seconds})
        self._throttle.failed(who)
        return _unknown(
            "token_refused",
            "the token is unknown, expired or revoked",
            "List valid tokens with: counterfoil tokens list",
            'Bearer realm="counterfoil", error="invalid_token"',
        )


def _unknown(code: str, detail: str, hint: str, challenge: str) -> Response:
    return answer(code, detail, hint, {"WWW-Authenticate": challenge})


def _is_in_address(request: Request) -> bool:
    query = request.scope["query_string"].decode("latin-1")
    pairs = parse_qsl(query, keep_blank_values=True)
    return any(name.lower() in _IN_ADDRESS or "cf_…" in redacted(f"{name} {value}") for name, value in pairs)
