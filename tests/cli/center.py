"""A home folder with an account of the sandbox, and commands on it."""

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
class Result:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Center:
    """A home folder with one account."""

    def __init__(self, home: Path, api_base: str, *, key: str = "sk_test_demo") -> None:
        self.home = home
        self.app: App = open_app(Settings(home=home))
        self.app.records.accounts.add("acme", shown="sk_test_…demo", fingerprint="f", key=key, api_base=api_base)

    def add(self, name: str, report: str, **options: Any) -> Dataset:
        targets = [Target(url="duckdb:///acme.duckdb", table=report)]
        return self.app.records.datasets.add(name, account="acme", report=report, targets=targets, **options)

    def do(self, *arguments: str, **environment: str) -> Result:
        """Runs a command in this process."""
        out, err = io.StringIO(), io.StringIO()
        home = {"COUNTERFOIL_HOME": str(self.home)}
        with _environment(home | environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(arguments)
        return Result(code, out.getvalue(), err.getvalue())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.home / "acme.duckdb", read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def close(self) -> None:
        self.app.close()


#: Manual runs are retried too.
PATIENT = Retry(manual=True)


def ended(process: subprocess.Popen[str]) -> bool:
    """Whether the process has ended or ends within 50 ms."""
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
