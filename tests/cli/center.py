"""A data center of two datasets, for tests of the commands about their runs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from counterfoil.app.app import App, open_app
from counterfoil.cli import run
from counterfoil.settings import Settings
from counterfoil.state.datasets import Dataset, Retry, Target


@dataclass(frozen=True)
class Done:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Center:
    """A home folder with an account of the sandbox, and commands on it."""

    def __init__(self, home: Path, api_base: str, *, key: str = "sk_test_demo") -> None:
        self.home = home
        self.app: App = open_app(Settings(home=home))
        self.app.records.accounts.add("acme", shown="sk_test_…demo", fingerprint="f", key=key, api_base=api_base)

    def add(self, name: str, report: str, **more: Any) -> Dataset:
        targets = [Target(url="duckdb:///acme.duckdb", table=report)]
        return self.app.records.datasets.add(name, account="acme", report=report, targets=targets, **more)

    def do(self, *words: str, **environment: str) -> Done:
        """Runs a command in this process."""
        out, err = io.StringIO(), io.StringIO()
        home = {"COUNTERFOIL_HOME": str(self.home)}
        with _environment(home | environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(words)
        return Done(code, out.getvalue(), err.getvalue())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.home / "acme.duckdb", read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def close(self) -> None:
        self.app.close()


#: A run that met something transient waits for another attempt, also when it was started by hand.
PATIENT = Retry(manual=True)


def ended(process: subprocess.Popen[str]) -> bool:
    """Whether it has ended, or does in this moment."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.05)
    return process.poll() is not None


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
