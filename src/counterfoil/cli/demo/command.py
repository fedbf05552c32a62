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

#: Shown above every web page.
BANNER = "Sample data from a simulated Stripe, with three months of sample runs."
#: A fifth of the sandbox's default data, to create three months of runs within seconds.
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
    """Start a demo: the web UI with a simulated Stripe and three months of sample runs.

    Creates a folder with datasets of a fictional company and prints a sign-in link, which works once. Ctrl-C stops the
    demo and deletes the folder.

    Parameters
    ----------
    once
        Load every report into demo.duckdb in the current folder, run three SQL queries and exit, without the UI.
    port
        Port of the UI, 8321 by default; 0 picks a free port. With --once, the port of the simulated Stripe.
    home
        Empty or new folder to use instead of a temporary one.
    keep
        Do not delete the folder at the end.
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
    configure(settings.log, level=logging.ERROR)  # the UI shows the results of runs
    clock = WoundClock()
    with (
        suppress(KeyboardInterrupt),
        Sandbox(scale=SCALE, live=True) as sandbox,
        open_app(settings, clock=clock) as app,
    ):
        # Tests keys that the user enters in the UI against the sandbox, never against Stripe.
        os.environ["STRIPE_API_BASE"] = sandbox.url
        service: list[Callable[[], Mapping[str, Any]]] = []

        def health() -> Mapping[str, Any]:
            return service[0]()

        # Created before the history, to report a port in use at once.
        front = PageServer(
            app,
            health,
            announce=lambda link: say(f"New sign-in link: {link}"),
            host="127.0.0.1",
            port=port,
            banner=BANNER,
            sandbox=lambda: (sandbox.url, KEY),
        )
        tell(f"Creating three months of sample runs in {folder}")
        live_through(app, sandbox, clock)

        def make_front(health: Callable[[], Mapping[str, Any]]) -> PageServer:
            service.append(health)
            return front

        def ready(link: str) -> None:
            say(f"Counterfoil ready at {link}")
            tell("Press Ctrl-C to stop.")
            if show is not None:
                show(link)

        with shutdown.working() as stopping:
            serve(app.state, app.records, make_front=make_front, ready=ready, stopping=stopping)


def _settings(found: Settings, folder: Path) -> Settings:
    """The settings of the environment without other storage locations; the sandbox has no rate limits."""
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
            raise SettingsError(f"--home {folder} is not an empty folder", hint="Use an empty or new folder.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if keep or home is not None:
            tell(f"The demo's data is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
