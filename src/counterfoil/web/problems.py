"""What went wrong, as an answer: a page, a fragment for htmx, or plain text; what happened and what to do.

Programs get theirs as `web.api.problems` makes them.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from counterfoil.errors import AccountError, CounterfoilError, RunError, SettingsError, TransientError
from counterfoil.web.api.problems import Refused, answer, is_api, of_error, of_request, of_status
from counterfoil.web.hints import on_page
from counterfoil.web.rendering import render

_STATUS = {SettingsError: 400, AccountError: 422, TransientError: 503, RunError: 409}
_TOLD = {
    403: ("That was not asked for by this page", "Open the page itself and try again."),
    404: ("There is nothing at this address", "It may have been renamed or deleted."),
    405: ("This address can't be asked in that way", None),
    413: ("That is too much for one request", "Send less at once."),
    421: ("The page does not answer under this name", "Use the address that counterfoil serve printed."),
    500: ("Something went wrong that Counterfoil did not expect", "The service's log says what."),
}


def problem(request: Request, status: int, message: str | None = None, hint: str | None = None) -> Response:
    """An answer with a message and what to do; without them, the usual ones of the status."""
    if message is None:
        message, hint = _TOLD.get(status, (HTTPStatus(status).phrase, None))
    if is_api(request):
        return of_status(status, message, hint)
    hint = on_page(hint)
    known: dict[str, Any] = {"status": status, "message": on_page(message), "hint": hint}
    if is_htmx(request):
        # 422 is the one that htmx shows, as the frame configures it; the place is on every page.
        answer = render(request, "parts/problem.html", status_code=422, **known)
        answer.headers["HX-Retarget"] = "#problem"
        answer.headers["HX-Reswap"] = "innerHTML"
        return answer
    if _shows_pages(request):
        return render(request, "error.html", status_code=status, **known)
    return PlainTextResponse(f"{message}\n{hint}\n" if hint else f"{message}\n", status_code=status)


def is_htmx(request: Request) -> bool:
    """Whether a part of a page asks, not a person who would see a whole one."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-boosted") != "true"


def is_navigation(request: Request) -> bool:
    """Whether a person goes to the address, so that being sent elsewhere makes sense."""
    mode = request.headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in request.headers.get("accept", "")


def _shows_pages(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted or is_navigation(request)


def handle_problems(page: FastAPI) -> None:
    """Errors of ours, of addresses and of forms become answers. Others are the guard's."""

    @page.exception_handler(CounterfoilError)
    def of_ours(request: Request, error: CounterfoilError) -> Response:
        if is_api(request):
            return of_error(error)
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
        if request.method in ("GET", "HEAD") and status == 400:
            status = 404  # all that an address can get wrong is a name
        return problem(request, status, str(error), error.hint)

    @page.exception_handler(HTTPException)
    def of_addresses(request: Request, error: HTTPException) -> Response:
        answer = problem(request, error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    @page.exception_handler(RequestValidationError)
    def of_forms(request: Request, error: RequestValidationError) -> Response:
        if is_api(request):
            return of_request(error)
        names = ", ".join(sorted({str(one["loc"][-1]) for one in error.errors()}))
        return problem(request, 400, f"Not as it should be: {names}", "Go back, mend it and try again.")

    @page.exception_handler(Refused)
    def of_programs(_request: Request, error: Refused) -> Response:
        return answer(error.code, error.detail, error.hint)
