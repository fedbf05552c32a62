"""The command tunes its process; importing the library changes nothing."""

from __future__ import annotations

import subprocess
import sys

REPORT = "import gc, sys; print(gc.get_threshold()[0] > 700, 'pandas' in sys.modules)"
#: The first array of a pull; pyarrow would import pandas, which is installed.
ARRAY = "import pyarrow; pyarrow.array([None])"


def _output(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_command_tunes_garbage_collection_and_hides_pandas() -> None:
    script = f"import counterfoil.cli as c\ntry:\n c.main(['--version'])\nexcept SystemExit: pass\n{ARRAY}\n{REPORT}"
    assert _output(script) == "True False"


def test_importing_the_library_leaves_process_unchanged() -> None:
    assert _output(f"import counterfoil, counterfoil.cli\n{ARRAY}\n{REPORT}") == "False True"
