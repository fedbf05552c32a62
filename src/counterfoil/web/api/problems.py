"""Error responses as `application/problem+json` (RFC 9457): `detail` and `hint` for people, `code` for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from counterfoil.errors import (
    AccountError,
    ClockError,
    CounterfoilError,
    DestinationBusy,
    DestinationRejected,
    KeyRejected,
    NameTaken,
    PermissionMissing,
    RateLimited,
    RunError,
    SchemaConflict,
    SettingsError,
    StripeUnavailable,
    TransientError,
)
from counterfoil.logging import redacted
from counterfoil.web.api.answers import Problem, RedactedJson
from counterfoil.web.api.hints import in_api

PREFIX = "/api"
MEDIA_TYPE = "application/problem+json"

#: Every code with its status and title. Codes never change; titles may be reworded.
CODES: Mapping[str, tuple[int, str]] = {
    "malformed": (400, "Malformed request"),
    "token_in_address": (400, "Token in the URL"),
    "token_missing": (401, "Token missing"),
    "token_refused": (401, "Invalid token"),
    "read_only": (403, "Read-only token"),
    "foreign_origin": (403, "Cross-origin request"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "name_taken": (409, "Name already taken"),
    "in_use": (409, "In use"),
    "run_error": (409, "Not possible in the current state"),
    "clock_error": (409, "Wrong clock"),
    "schema_conflict": (409, "Incompatible table schema"),
    "destination_rejected": (409, "Rejected by the destination"),
    "too_large": (413, "Request too large"),
    "wrong_host": (421, "Unknown host name"),
    "invalid": (422, "Invalid request"),
    "account_error": (422, "Account unusable"),
    "key_rejected": (422, "Stripe rejected the key"),
    "permission_missing": (422, "The key lacks a permission"),
    "throttled": (429, "Too many wrong tokens"),
    "internal": (500, "Internal error"),
    "unavailable": (503, "Temporarily unavailable"),
    "stripe_rate_limited": (503, "Stripe's rate limit is reached"),
    "stripe_unavailable": (503, "Stripe is unreachable"),
    "destination_busy": (503, "The destination is locked by another process"),
}
#: Subclasses come before their base classes.
_OF_ERRORS: Mapping[type[CounterfoilError], str] = {
    NameTaken: "name_taken",
    SettingsError: "invalid",
    KeyRejected: "key_rejected",
    PermissionMissing: "permission_missing",
    AccountError: "account_error",
    RateLimited: "stripe_rate_limited",
    StripeUnavailable: "stripe_unavailable",
    DestinationBusy: "destination_busy",
    TransientError: "unavailable",
    ClockError: "clock_error",
    SchemaConflict: "schema_conflict",
    DestinationRejected: "destination_rejected",
    RunError: "run_error",
}
#: The code of a status without a more specific one.
_OF_STATUS = {
    400: "malformed",
    403: "foreign_origin",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    421: "wrong_host",
    422: "invalid",
    503: "unavailable",
}


class Refused(Exception):  # noqa: N818 - the name says what happened
    """Rejects a request with the problem of a code."""

    def __init__(self, code: str, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint


def is_api(request: Request) -> bool:
    """Whether the request is for the API, which requires a token, and not for a page, which requires a session."""
    path: str = request.scope["path"]
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def answer(code: str, detail: str, hint: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """The problem of a code."""
    status, title = CODES[code]
    problem = Problem(title=title, status=status, detail=in_api(detail), hint=hint and in_api(hint), code=code)
    return RedactedJson(problem.model_dump(), status, headers, MEDIA_TYPE)


def of_status(status: int, detail: str, hint: str | None) -> Response:
    """The problem of a status."""
    return answer(_OF_STATUS.get(status, "internal"), detail, hint)


def of_error(error: CounterfoilError) -> Response:
    """The problem of a CounterfoilError."""
    code = next((code for kind, code in _OF_ERRORS.items() if isinstance(error, kind)), "internal")
    return answer(code, str(error), error.hint)


def of_request(error: RequestValidationError) -> Response:
    """The problem of an invalid request. It does not repeat the input, which may contain secrets."""
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return answer("malformed", "the body is not JSON", "Send one JSON object as application/json.")
    messages = "; ".join(dict.fromkeys(f"{_place(one['loc'])}: {one['msg']}" for one in found[:10]))
    return answer("invalid", messages, "See the parameters of each route in /api/v1/openapi.json")


@contextmanager
def looked_up() -> Iterator[None]:
    """Converts a SettingsError of a lookup by name or id to status 404."""
    try:
        yield
    except SettingsError as error:
        raise Refused("not_found", error.message, error.hint) from error


def _place(steps: tuple[int | str, ...]) -> str:
    """The path of a field, such as `body.options`. Further parts are names of types, which the validator adds."""
    return redacted(".".join(map(str, steps[:2])))[:100]
