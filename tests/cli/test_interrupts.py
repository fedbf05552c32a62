"""Ctrl-C at any moment of a command ends it with a line at most, and with the exit code of an interrupt."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: Sends the signal when a module is first looked for, which no clock decides.
SCRIPT = """
import os, signal, sys
when, number, *words = sys.argv[1:]
class Interrupt:
    @staticmethod
    def find_spec(name, *_):
        if name == when:
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Interrupt)
sys.argv[:] = ["counterfoil", *words]
from counterfoil.cli import main
main()
"""


def _stopped(when: str, number: signal.Signals, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, when, str(int(number)), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("when", "words"),
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
def test_ctrl_c_during_an_import_prints_no_traceback(when: str, words: list[str]) -> None:
    done = _stopped(when, signal.SIGINT, *words)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_sigterm_during_an_import_prints_no_traceback() -> None:
    done = _stopped("cyclopts", signal.SIGTERM, "--help")
    assert (done.returncode, done.stderr) == (143, "")


def test_a_command_that_ignores_ctrl_c_from_its_start_goes_on() -> None:
    command = [sys.executable, "-c", SCRIPT, "cyclopts", str(int(signal.SIGINT)), "--version"]
    ignoring = ["bash", "-c", 'trap "" INT; exec "$@"', "bash", *command]
    done = subprocess.run(ignoring, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_module_is_the_command() -> None:
    script = Path(sys.executable).with_name("counterfoil")
    told = [
        subprocess.run([*command, "--version"], capture_output=True, text=True, check=True).stdout
        for command in ([sys.executable, "-m", "counterfoil"], [str(script)])
    ]
    assert told[0] == told[1] != ""


@pytest.mark.parametrize(
    "words",
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
def test_output_that_goes_nowhere_prints_no_traceback(
    words: str, redirection: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_demo")
    command = f"exec {sys.executable} -m counterfoil {words} {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == (2 if words == "pull nonsense" else code if words != "datasets list --json" else 0)
    if (redirection, done.returncode) == (">/dev/full", 1):
        assert done.stderr.startswith("error: the output could not be written: No space left")


def test_a_file_is_never_opened_under_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    script = (
        "from counterfoil.cli.terminal.streams import open_standard_streams; open_standard_streams()\n"
        "print('lost')\n"
        "import sys, os; f = open(sys.argv[1], 'w'); f.write(str(f.fileno()))"
    )
    closed = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", sys.executable, "-c", script, str(tmp_path / "file")]
    assert subprocess.run(closed).returncode == 0
    assert int((tmp_path / "file").read_text()) > 2
