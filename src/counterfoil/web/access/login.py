"""Login by password or by the link that the service prints, and logout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from counterfoil.logging import get_logger
from counterfoil.web.access.auth import Auth
from counterfoil.web.access.sessions import Cookie, current
from counterfoil.web.rendering import render

_log = get_logger("web")


class Login:
    """The routes `/login`, `/login/link` and `/logout`. `announce` prints a new link in the service's terminal."""

    def __init__(self, door: Auth, cookie: Cookie, announce: Callable[[], None]) -> None:
        self._door = door
        self._cookie = cookie
        self._announce = announce
        self.router = APIRouter()
        self.router.add_api_route("/login", self.show, methods=["GET"])
        self.router.add_api_route("/login", self.attempt, methods=["POST"])
        self.router.add_api_route("/login/link", self.print_link, methods=["POST"])
        self.router.add_api_route("/logout", self.leave, methods=["POST"])

    def show(self, request: Request, token: str | None = None, next: str = "/") -> Response:  # noqa: A002 - in addresses
        place = within(next)
        linked = token is not None and not self._door.password.is_set
        if token is not None and linked and self._door.links.take(token):
            return self._let_in(request, place)
        if current(request, self._cookie, self._door.sessions):
            return RedirectResponse(place, status_code=303)
        if linked:
            return self._asked(request, place, 403, problem="This link was used already, or it has expired.")
        return self._asked(request, place)

    def attempt(
        self,
        request: Request,
        password: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "/",  # noqa: A002
    ) -> Response:
        place = within(next)
        address = request.client.host if request.client else ""
        tried = self._door.attempt(password, address, self._cookie.read(request))
        if tried.fits:
            return self._let_in(request, place)
        if not tried.wait_seconds:
            return self._asked(request, place, 403, problem="Wrong password.")
        problem = f"Too many wrong passwords. Try again in {tried.wait_seconds} s."
        answer = self._asked(request, place, 429, problem=problem, wait_seconds=tried.wait_seconds)
        answer.headers["Retry-After"] = str(tried.wait_seconds)
        return answer

    def print_link(self, request: Request, next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
        place = within(next)
        if self._door.password.is_set:
            return self._asked(request, place, 403, problem="Login links are disabled: this service has a password.")
        if self._door.links.wait_seconds() > 0:
            message = "A link was just printed in the terminal of counterfoil serve. Open it within 10 minutes."
            return self._asked(request, place, 429, message=message)
        self._announce()
        message = "A new link was printed in the terminal of counterfoil serve. It works once, within 10 minutes."
        return self._asked(request, place, message=message)

    def leave(self, request: Request) -> Response:
        token = self._cookie.read(request)
        if token is not None:
            self._door.sessions.end(token)
        answer = RedirectResponse("/login", status_code=303)
        self._cookie.remove(request, answer)
        return answer

    def _asked(self, request: Request, place: str, status: int = 200, **more: object) -> Response:
        values = {"problem": None, "message": None, "wait_seconds": 0, **more}
        asks_password = self._door.password.is_set
        return render(request, "login.html", status_code=status, next=place, asks_password=asks_password, **values)

    def _let_in(self, request: Request, place: str) -> Response:
        earlier = self._cookie.read(request)
        if earlier is not None:
            self._door.sessions.end(earlier)
        _log.info("signed in", client=request.client.host if request.client else None)
        answer = RedirectResponse(place, status_code=303)
        self._cookie.give(request, answer, self._door.sessions.begin())
        return answer


def within(place: str) -> str:
    """The path if it is one of this site, else `/`: prevents open redirects."""
    # Browsers treat "//host" and "/\\host" as another site, and ignore tabs and line breaks.
    if not place.startswith("/") or place.startswith("//") or "\\" in place or not place.isprintable():
        return "/"
    return "/" if urlsplit(place).path.split("/")[1] in ("login", "logout") else place
