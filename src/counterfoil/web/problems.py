"""Error responses: a page, a fragment for htmx, or plain text, with a message and a hint.

`web.api.problems` makes the responses for API clients.
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
from counterfoil.web.formatting import sentence_case
from counterfoil.web.hints import on_page
from counterfoil.web.rendering import render

_STATUS = {SettingsError: 400, AccountError: 422, TransientError: 503, RunError: 409}
_MESSAGES = {
    403: ("Cross-origin request rejected", "Open the page itself and try again."),
    404: ("No page or resource at this URL", "It may have been renamed or deleted."),
    405: ("Method not allowed for this URL", None),
    413: ("Request too large", "Send less data per request."),
    421: ("Unknown host name", "Use the URL that counterfoil serve printed."),
    500: ("Internal error", "See the log of the service for details."),
}


def problem(
    request: Request, status: int, message: str | None = None, hint: str | None = None, code: str | None = None
) -> Response:
    """A response with a message and a hint; without a message, with the defaults of the status."""
    if message is None:
        message, hint = _MESSAGES.get(status, (HTTPStatus(status).phrase, None))
    if is_api(request):
        return of_status(status, message, hint)
    message, hint = sentence_case(on_page(message)), on_page(hint)
    known: dict[str, Any] = {"status": status, "message": message, "hint": hint, "code": code}
    if is_htmx(request):
        # htmx shows responses with 422, as configured in base.html; every page has #problem.
        answer = render(request, "parts/problem.html", status_code=422, **known)
        answer.headers["HX-Retarget"] = "#problem"
        answer.headers["HX-Reswap"] = "innerHTML"
        return answer
    if _shows_pages(request):
        return render(request, "error.html", status_code=status, **known)
    return PlainTextResponse(f"{message}\n{hint}\n" if hint else f"{message}\n", status_code=status)


def is_htmx(request: Request) -> bool:
    """Whether htmx requests a part of a page."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-boosted") != "true"


def is_navigation(request: Request) -> bool:
    """Whether the request is a navigation of a browser, which a redirect can send elsewhere."""
    mode = request.headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in request.headers.get("accept", "")


def _shows_pages(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted or is_navigation(request)


def handle_problems(page: FastAPI) -> None:
    """Registers handlers for CounterfoilError, HTTP errors and invalid forms. The guard handles all other errors."""

    @page.exception_handler(CounterfoilError)
    def of_ours(request: Request, error: CounterfoilError) -> Response:
        if is_api(request):
            return of_error(error)
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
        if request.method in ("GET", "HEAD") and status == 400:
            status = 404  # the only setting in a URL is a name
        return problem(request, status, str(error), error.hint, error.code)

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
        return problem(request, 400, f"Invalid fields: {names}", "Go back, correct them and try again.")

    @page.exception_handler(Refused)
    def of_programs(_request: Request, error: Refused) -> Response:
        return answer(error.code, error.detail, error.hint)
