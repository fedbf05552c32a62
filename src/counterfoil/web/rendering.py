"""Templates to answers: the environment, what every page knows, and how the page is addressed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from counterfoil.version import __version__
from counterfoil.web import charts, formatting
from counterfoil.web.hints import on_page
from counterfoil.web.icons import icon

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
THEMES = ("light", "dark")
#: The cookie that remembers the theme; the script writes it.
THEME_COOKIE = "counterfoil-theme"


@cache
def environment() -> Environment:
    """The templates. What is not in a page's values is an error, and everything is escaped."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.filters.update(
        number=formatting.number,
        money=formatting.money,
        instant=formatting.instant,
        ago=formatting.ago,
        duration=formatting.duration,
        bytes=formatting.size,
        counted=formatting.counted,
        on_page=on_page,
        breakable=formatting.breakable,
    )
    made.globals.update(charts=charts, icon=icon, static=static, product_version=__version__)
    return made


def render(request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """The page of a template.

    Beside `values` it knows: `path`; `theme`, None for the system's; `session`, what `request.state.session` holds or
    None; `banner`, what `app.state.banner` holds or None; `has_sandbox`, whether one can be tried; `now`; and
    `url(**changed)`, this address with other parameters, None removing one.
    """
    known = {
        "request": request,
        "path": request.url.path,
        "theme": _theme(request),
        "session": getattr(request.state, "session", None),
        "banner": getattr(request.app.state, "banner", None),
        "has_sandbox": getattr(request.app.state, "sandbox", None) is not None,
        "now": datetime.now(UTC),
        "url": lambda **changed: address(request, **changed),
    }
    text = environment().get_template(name).render({**known, **values})
    return HTMLResponse(text, status_code=status_code)


def fragment(name: str, **values: Any) -> str:
    """A template by itself, for what is sent apart from a page."""
    return environment().get_template(name).render(now=datetime.now(UTC), **values)


def address(request: Request, **changed: object) -> str:
    """The address of the request with some of its parameters changed; None and "" remove one."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key not in changed]
    added = [(key, str(value)) for key, value in changed.items() if value not in (None, "")]
    query = urlencode([*kept, *added])
    return f"{request.url.path}?{query}" if query else request.url.path


@cache
def static(name: str) -> str:
    """Where a file of `static/` is served: another address for other contents, so that it can be cached for good."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


def _theme(request: Request) -> str | None:
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None
