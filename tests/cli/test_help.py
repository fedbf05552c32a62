"""The help of every command imports no heavy library, so it is quick."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("aiohttp", "alembic", "cryptography", "dbos", "duckdb", "fastapi", "pyarrow", "sqlalchemy", "starlette")
SCRIPT = f"""
import contextlib, io, json, sys
from counterfoil.cli import app, run
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    codes = [run(["--help"])]
    for name in [name for name in app if not name.startswith("-")]:
        codes.append(run([name, "--help"]))
        for command in [command for command in app[name] if not command.startswith("-")]:
            codes.append(run([name, command, "--help"]))
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([codes, heavy, printed.getvalue().count("Usage: counterfoil")]))
"""


def test_help_imports_no_heavy_library() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    codes, heavy, helps = json.loads(done.stdout)
    assert set(codes) == {0}
    assert len(codes) == helps > 20
    assert heavy == []
