"""`counterfoil demo` as a process: the service, the sandbox and three months of sample runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from counterfoil.app.app import App, open_app
from counterfoil.settings import Settings

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))


@dataclass
class Demo:
    """A running demo; `app` opens the same state."""

    process: subprocess.Popen[str]
    home: Path
    link: str
    app: App

    @property
    def url(self) -> str:
        return self.link.split("/login?")[0]


@contextmanager
def running_demo(home: Path) -> Iterator[Demo]:
    """Starts the demo, waits until it is ready, and stops it with SIGINT at the end."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "STRIPE_"))
    }
    log = home.with_name(f"{home.name}.log")
    with (
        log.open("w") as lines,
        subprocess.Popen(
            [COUNTERFOIL, "demo", "--port", "0", "--home", str(home)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=lines,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " ready at " in line, log.read_text()
            with open_app(Settings(home=home)) as app:
                yield Demo(process, home, line.split()[-1], app)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
