"""Renders templates: the environment, the values common to all pages, and URLs."""

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
#: The cookie that stores the theme; `static/app.js` writes it.
THEME_COOKIE = "counterfoil-theme"


@cache
def environment() -> Environment:
    """The template environment. Undefined values are errors, and all output is escaped."""
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
        sentence_case=formatting.sentence_case,
    )
    made.globals.update(charts=charts, icon=icon, static=static, product_version=__version__)
    return made


def render(request: Request, name: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """The rendered page.

    In addition to `values` a template has: `path`; `theme`, None for the system's theme; `session`, the value of
    `request.state.session` or None; `banner`, the value of `app.state.banner` or None; `has_sandbox`, whether a sandbox
    is available; `now`; and `url(**changed)`, the current URL with changed parameters, where None removes one.
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
    """A rendered template without a page around it."""
    return environment().get_template(name).render(now=datetime.now(UTC), **values)


def address(request: Request, **changed: object) -> str:
    """The URL of the request with some parameters changed; None and "" remove a parameter."""
    kept = [(key, value) for key, value in request.query_params.multi_items() if key not in changed]
    added = [(key, str(value)) for key, value in changed.items() if value not in (None, "")]
    query = urlencode([*kept, *added])
    return f"{request.url.path}?{query}" if query else request.url.path


@cache
def static(name: str) -> str:
    """The URL of a file of `static/`. It contains a digest of the content, so that it can be cached indefinitely."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


def _theme(request: Request) -> str | None:
    chosen = request.cookies.get(THEME_COOKIE)
    return chosen if chosen in THEMES else None
