"""What went wrong, as `application/problem+json` (RFC 9457): for people `detail` and `hint`, for programs `code`."""

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

#: Every code with its status and its title. Codes stay what they are; titles may be said better.
CODES: Mapping[str, tuple[int, str]] = {
    "malformed": (400, "Not a request that can be read"),
    "token_in_address": (400, "A token in an address"),
    "token_missing": (401, "No token"),
    "token_refused": (401, "Not a token that works"),
    "read_only": (403, "The token may only read"),
    "foreign_origin": (403, "Asked by another site's page"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Not to be asked in this way"),
    "name_taken": (409, "The name is taken"),
    "in_use": (409, "It is in use"),
    "run_error": (409, "It can't be done as things are"),
    "clock_error": (409, "A clock is or was wrong"),
    "schema_conflict": (409, "The table has another shape"),
    "destination_rejected": (409, "The destination refuses"),
    "too_large": (413, "Too large"),
    "wrong_host": (421, "Not the name of this service"),
    "invalid": (422, "Not as it should be"),
    "account_error": (422, "The account can't be used"),
    "key_rejected": (422, "Stripe does not take the key"),
    "permission_missing": (422, "The key lacks a permission"),
    "throttled": (429, "Too many wrong tokens"),
    "internal": (500, "Something unforeseen"),
    "unavailable": (503, "Not at this moment"),
    "stripe_rate_limited": (503, "Stripe's limit is reached"),
    "stripe_unavailable": (503, "Stripe can't be reached"),
    "destination_busy": (503, "The destination is held by another process"),
}
#: The most special class first.
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
#: What a status is called where nothing more is known.
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
    """A request that is answered with the problem of a code."""

    def __init__(self, code: str, detail: str, hint: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint


def is_api(request: Request) -> bool:
    """Whether a program asks, with a token, and not a browser, with a session."""
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
    """The problem of an error of ours."""
    code = next((code for kind, code in _OF_ERRORS.items() if isinstance(error, kind)), "internal")
    return answer(code, str(error), error.hint)


def of_request(error: RequestValidationError) -> Response:
    """The problem of a request that has not the form which its route asks for. What was sent is not repeated."""
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return answer("malformed", "The body is not JSON", "Send one JSON object as application/json.")
    told = "; ".join(dict.fromkeys(f"{_place(one['loc'])}: {one['msg']}" for one in found[:10]))
    return answer("invalid", told, "See /api/v1/openapi.json for what each route takes.")


@contextmanager
def looked_up() -> Iterator[None]:
    """What the address names has to be there: else the answer is 404."""
    try:
        yield
    except SettingsError as error:
        raise Refused("not_found", error.message, error.hint) from error


def _place(steps: tuple[int | str, ...]) -> str:
    """`body.options`: what is behind a name may be the validator's word for one of several types."""
    return redacted(".".join(map(str, steps[:2])))[:100]
