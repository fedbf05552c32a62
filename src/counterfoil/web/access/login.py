"""The way in and out: the link that the service prints, the password, and logging out."""

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
    """The routes of `/login`, `/login/link` and `/logout`. `announce` prints a new link where the service runs."""

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
            return self._asked(request, place, 403, problem="This link was used, or it is older than ten minutes.")
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
            return self._asked(request, place, 403, problem="That is not the password.")
        problem = f"Too many wrong passwords. Try again in {tried.wait_seconds} s."
        answer = self._asked(request, place, 429, problem=problem, wait_seconds=tried.wait_seconds)
        answer.headers["Retry-After"] = str(tried.wait_seconds)
        return answer

    def print_link(self, request: Request, next: Annotated[str, Form()] = "/") -> Response:  # noqa: A002
        place = within(next)
        if self._door.password.is_set:
            return self._asked(request, place, 403, problem="This service takes its password, not a link.")
        if self._door.links.wait_seconds() > 0:
            told = "A link was printed a moment ago where counterfoil serve runs. Open it within ten minutes."
            return self._asked(request, place, 429, told=told)
        self._announce()
        told = "A new link is printed where counterfoil serve runs. It works once, within ten minutes."
        return self._asked(request, place, told=told)

    def leave(self, request: Request) -> Response:
        token = self._cookie.read(request)
        if token is not None:
            self._door.sessions.end(token)
        answer = RedirectResponse("/login", status_code=303)
        self._cookie.remove(request, answer)
        return answer

    def _asked(self, request: Request, place: str, status: int = 200, **more: object) -> Response:
        values = {"problem": None, "told": None, "wait_seconds": 0, **more}
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
    """The place if it is one of this page's, else its first: nobody is sent elsewhere by a link to here."""
    # Browsers take "//host" and "/\\host" for another site, and leave out tabs and line ends before they look.
    if not place.startswith("/") or place.startswith("//") or "\\" in place or not place.isprintable():
        return "/"
    return "/" if urlsplit(place).path.split("/")[1] in ("login", "logout") else place
