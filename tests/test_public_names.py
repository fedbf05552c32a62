"""The stable public API of `counterfoil`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import counterfoil

HEAVY = ("duckdb", "pyarrow", "dbos", "sqlalchemy", "fastapi", "aiohttp", "pydantic")


def test_all_is_sorted_and_every_name_exists() -> None:
    assert counterfoil.__all__ == sorted(counterfoil.__all__)
    assert all(getattr(counterfoil, name) is not None for name in counterfoil.__all__)


def test_unknown_name_is_missing() -> None:
    assert not hasattr(counterfoil, "Connector")


def test_dir_lists_only_public_names() -> None:
    assert dir(counterfoil) == counterfoil.__all__


#: A program of a user, and lines that a type checker must reject.
PROGRAM = """
import counterfoil
from counterfoil import Connection, Description, Pulled, Reader, Window

def rows(key: str) -> int:
    with counterfoil.connect(key, api_base="http://127.0.0.1") as stripe:
        connection: Connection = stripe
        reader: Reader = connection.read("charges", since="2026-01-01", limit=3)
        windows: tuple[Window, ...] = stripe.windows("charges", 2)
        described: Description = counterfoil.describe("charges")
        try:
            pulled: Pulled = stripe.pull("charges", method="append")
        except counterfoil.CounterfoilError as error:
            print(error.code, error.hint)
            return len(windows) + len(described.primary_key)
        for batch in reader:
            print(batch.num_rows)
        return pulled.rows

reveal_type(counterfoil.connect("env:KEY").read("charges"))
"""
INVALID = {
    'counterfoil.conect("env:KEY")': "attr-defined",
    'counterfoil.connect("env:KEY").read(1)': "arg-type",
    'counterfoil.connect("env:KEY").pull("charges", method="merge")': "arg-type",
}
#: Third-party packages that no public type refers to; checking them would take most of the time.
_SKIPPED = (
    "aiohttp,alembic,cryptography,cyclopts,dbos,duckdb,fastapi,jinja2,psycopg,pydantic,rich,"
    "sqlalchemy,starlette,structlog,tenacity,uvicorn"
)


def test_program_of_user_passes_strict_type_check(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("\n".join((PROGRAM, *INVALID)) + "\n")
    skipped = ",".join(f"{name}.*" for name in _SKIPPED.split(","))
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = true\n[mypy-{skipped}]\nfollow_imports = skip\n")
    done = subprocess.run([sys.executable, "-m", "mypy", "program.py"], cwd=tmp_path, capture_output=True, text=True)
    *found, last = done.stdout.splitlines()
    assert 'Revealed type is "counterfoil.runs.read.Reader"' in found.pop(0)
    assert [line[line.rindex("[") + 1 : -1] for line in found] == list(INVALID.values()), done.stdout
    assert last.startswith("Found 3 errors")


def test_help_imports_no_heavy_modules() -> None:
    script = (
        "import sys\nfrom counterfoil.cli import run\nrun(['--help'])\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "pull" in done.stdout
