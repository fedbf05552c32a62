"""Signals at any moment of a command: it ends with the exit code of the signal and prints at most one line."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: Sends the signal when a module is first imported, so the moment does not depend on time.
SCRIPT = """
import os, signal, sys
module, number, *arguments = sys.argv[1:]
class Interrupt:
    @staticmethod
    def find_spec(name, *_):
        if name == module:
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Interrupt)
sys.argv[:] = ["counterfoil", *arguments]
from counterfoil.cli import main
main()
"""


def _interrupt(module: str, number: signal.Signals, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, module, str(int(number)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("counterfoil.cli.terminal.interrupts", ["--help"]),
        ("counterfoil.cli.terminal.process", ["--help"]),
        ("cyclopts", ["--help"]),
        ("structlog", ["pull", "charges"]),
        ("counterfoil.cli.pull", ["pull", "charges"]),
        ("pydantic", ["pull", "charges"]),
        ("counterfoil.reports.catalogue", ["reports", "--json"]),
        ("sqlalchemy", ["datasets", "list"]),
    ],
)
def test_ctrl_c_during_an_import_prints_no_traceback(module: str, arguments: list[str]) -> None:
    done = _interrupt(module, signal.SIGINT, *arguments)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_sigterm_during_an_import_prints_no_traceback() -> None:
    done = _interrupt("cyclopts", signal.SIGTERM, "--help")
    assert (done.returncode, done.stderr) == (143, "")


def test_command_started_with_sigint_ignored_continues() -> None:
    command = [sys.executable, "-c", SCRIPT, "cyclopts", str(int(signal.SIGINT)), "--version"]
    ignoring = ["bash", "-c", 'trap "" INT; exec "$@"', "bash", *command]
    done = subprocess.run(ignoring, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_module_and_script_print_the_same_version() -> None:
    script = Path(sys.executable).with_name("counterfoil")
    versions = [
        subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        for command in ([sys.executable, "-m", "counterfoil"], [str(script)])
    ]
    assert versions[0] == versions[1] != ""


@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "datasets list --json",
        pytest.param("reports --json", marks=pytest.mark.thorough),
        pytest.param("pull nonsense", marks=pytest.mark.thorough),
        pytest.param("demo --help", marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize(
    ("redirection", "code"), [(">/dev/full", 1), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0), ("2>/dev/full", 0)]
)
def test_unwritable_output_prints_no_traceback(
    arguments: str, redirection: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_demo")
    command = f"exec {sys.executable} -m counterfoil {arguments} {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == (
        2 if arguments == "pull nonsense" else code if arguments != "datasets list --json" else 0
    )
    if (redirection, done.returncode) == (">/dev/full", 1):
        assert done.stderr.startswith("error: ")
        assert "No space left" in done.stderr


def test_files_never_get_descriptor_of_closed_stream(tmp_path: Path) -> None:
    script = (
        "from counterfoil.cli.terminal.streams import open_standard_streams; open_standard_streams()\n"
        "print('lost')\n"
        "import sys, os; f = open(sys.argv[1], 'w'); f.write(str(f.fileno()))"
    )
    closed = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", sys.executable, "-c", script, str(tmp_path / "file")]
    assert subprocess.run(closed).returncode == 0
    assert int((tmp_path / "file").read_text()) > 2
