"""Forms that have fields of any name, and where a person goes once one is done with."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from counterfoil.web.problems import is_htmx


async def form_data(request: Request) -> FormData:
    """All fields of the form, for handlers that run in threads."""
    return await request.form()


def redirect(request: Request, place: str) -> Response:
    """Goes to another page of ours, whether a page asked or a part of one."""
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": place})
    return RedirectResponse(place, status_code=303)
