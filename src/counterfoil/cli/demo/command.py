"""`counterfoil demo`."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from counterfoil.cli.sandbox import checked_port
from counterfoil.cli.terminal.exit import exit_without_waiting
from counterfoil.cli.terminal.screen import say, tell
from counterfoil.engine.shutdown import Shutdown
from counterfoil.errors import SettingsError

if TYPE_CHECKING:
    from counterfoil.settings import Settings

#: Above every page.
BANNER = "Invented data, from a simulated Stripe. Its three months of runs were made at the start, by a clock set back."
#: A fifth of the sandbox's usual company, so that its three months are made within seconds.
SCALE = 0.2

_FLAG = Parameter(negative=(), show_default=False)


def demo(
    *,
    once: Annotated[bool, _FLAG] = False,
    port: int | None = None,
    home: Path | None = None,
    keep: Annotated[bool, _FLAG] = False,
    in_browser: Annotated[bool, Parameter(name="--open", negative=(), show_default=False)] = False,
) -> None:
    """Try it: the page on a simulated Stripe, with three months of runs.

    Fills a folder with datasets of an invented company, and prints a link to their page, which works once. Ctrl-C
    ends everything and removes the folder.

    Parameters
    ----------
    once
        Without a page: read every report into demo.duckdb in the current folder, ask it three questions in SQL, end.
    port
        Where the page listens: 8321 unless given, and 0 for a free port. With --once, where the simulated Stripe does.
    home
        A folder that is empty, or not there yet, instead of one that is removed at the end.
    keep
        Keep the folder.
    in_browser
        Open the link in a browser.
    """
    checked_port(port or 0)
    if once:
        from counterfoil.cli.demo.once import read_everything

        read_everything(port or 0)
        return
    exit_without_waiting()
    with Shutdown() as shutdown, _folder(home, keep=keep) as folder:
        _serve(folder, port, shutdown, show=webbrowser.open if in_browser else None)


def _serve(folder: Path, port: int | None, shutdown: Shutdown, *, show: Callable[[str], object] | None) -> None:
    from counterfoil.app.app import open_app
    from counterfoil.app.node import serve
    from counterfoil.cli.demo.history import KEY, WoundClock, live_through
    from counterfoil.logging import configure
    from counterfoil.settings import load_settings
    from counterfoil.web.server import PageServer
    from stripe_sandbox import Sandbox

    settings = _settings(load_settings(), folder)
    configure(settings.log, level=logging.ERROR)  # how runs fare is on the page
    clock = WoundClock()
    with (
        suppress(KeyboardInterrupt),
        Sandbox(scale=SCALE, live=True) as sandbox,
        open_app(settings, clock=clock) as app,
    ):
        # A key that is typed into the page is tried at the sandbox, never at Stripe.
        os.environ["STRIPE_API_BASE"] = sandbox.url
        service: list[Callable[[], Mapping[str, Any]]] = []

        def health() -> Mapping[str, Any]:
            return service[0]()

        # Made before the history: a port that is taken is told at once.
        front = PageServer(
            app,
            health,
            announce=lambda link: say(f"Counterfoil's new link: {link}"),
            host="127.0.0.1",
            port=port,
            banner=BANNER,
            sandbox=lambda: (sandbox.url, KEY),
        )
        tell(f"An invented company lives through three months, in {folder}")
        live_through(app, sandbox, clock)

        def make_front(health: Callable[[], Mapping[str, Any]]) -> PageServer:
            service.append(health)
            return front

        def ready(link: str) -> None:
            say(f"Counterfoil ready at {link}")
            tell("Ctrl-C ends it.")
            if show is not None:
                show(link)

        with shutdown.working() as stopping:
            serve(app.state, app.records, make_front=make_front, ready=ready, stopping=stopping)


def _settings(found: Settings, folder: Path) -> Settings:
    """The environment's, but for what would lead elsewhere; the sandbox limits nobody."""
    return found.model_copy(
        update={
            "home": folder,
            "archive_path": None,
            "state_url": None,
            "state_url_file": None,
            "password": None,
            "password_file": None,
            "url": None,
            "rate_global": 10_000.0,
            "rate_endpoint": 10_000.0,
        }
    )


@contextmanager
def _folder(home: Path | None, *, keep: bool) -> Iterator[Path]:
    if home is None:
        folder = Path(tempfile.mkdtemp(prefix="counterfoil-demo-"))
    else:
        folder = home.expanduser().absolute()
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise SettingsError(f"--home {folder} is not an empty folder", hint="The demo begins from nothing.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if keep or home is not None:
            tell(f"What the demo made is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
