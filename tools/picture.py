"""Draws docs/demo.svg, the terminal output of the demo. Run `make picture` when the output changes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 118


def main() -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    command = [str(Path(sys.executable).with_name("counterfoil")), "demo", "--once"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print("[bold]$ make demo[/bold]")
    console.print(Text.from_ansi(done.stdout))
    (ROOT / "docs" / "demo.svg").write_text(console.export_svg(title="counterfoil demo --once"))


if __name__ == "__main__":
    main()
