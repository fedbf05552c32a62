"""Forms with arbitrary field names, and redirects after a form."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from counterfoil.web.problems import is_htmx


async def form_data(request: Request) -> FormData:
    """All fields of the form; a dependency for handlers that run in threads."""
    return await request.form()


def redirect(request: Request, place: str) -> Response:
    """Redirects to another page of this site, for htmx and for plain requests."""
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": place})
    return RedirectResponse(place, status_code=303)
