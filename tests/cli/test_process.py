"""The command's own process is tuned; a program that imports us is left as it is."""

from __future__ import annotations

import subprocess
import sys

TOLD = "import gc, sys; print(gc.get_threshold()[0] > 700, 'pandas' in sys.modules)"
#: A pull's first array, in a process where pandas is installed.
ARRAY = "import pyarrow; pyarrow.array([None])"


def _told(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_the_commands_process_collects_rarely_and_imports_no_pandas() -> None:
    script = f"import counterfoil.cli as c\ntry:\n c.main(['--version'])\nexcept SystemExit: pass\n{ARRAY}\n{TOLD}"
    assert _told(script) == "True False"


def test_a_program_that_imports_us_keeps_its_collector_and_its_pandas() -> None:
    assert _told(f"import counterfoil, counterfoil.cli\n{ARRAY}\n{TOLD}") == "False True"
