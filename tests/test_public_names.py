"""What `counterfoil` promises to keep."""

from __future__ import annotations

import subprocess
import sys

import counterfoil

HEAVY = ("duckdb", "pyarrow", "dbos", "sqlalchemy", "fastapi", "aiohttp", "pydantic")


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert counterfoil.__all__ == sorted(counterfoil.__all__)
    assert all(getattr(counterfoil, name) is not None for name in counterfoil.__all__)


def test_a_name_that_is_not_there_is_said_so() -> None:
    assert not hasattr(counterfoil, "Connector")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom counterfoil.cli import run\nrun(['--help'])\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "pull" in done.stdout
