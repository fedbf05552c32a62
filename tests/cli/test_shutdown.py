"""SIGTERM and Ctrl-C stop a service within seconds, at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: From the signal to the end of the process.
BOUND_SECONDS = 12
#: A command that swallows every interrupt, with a shutdown deadline of half a second.
DEAF = """
import os, sys
from counterfoil.engine.shutdown import Shutdown
with Shutdown(seconds=0.5):
    ready = ""
    while True:
        try:
            # Printed here, so that the next interrupt is caught.
            if not ready:
                ready = "ready"
                print(ready, flush=True)
            if not sys.stdin.read(1):
                break
        except KeyboardInterrupt:
            print("swallowed", flush=True)
"""
#: A command that works until it is stopped.
WORKING = """
import signal, sys
from counterfoil.engine.shutdown import Shutdown
with Shutdown() as shutdown, shutdown.working() as stopping:
    print("ready", flush=True)
    print(stopping.wait(30), flush=True)
    sys.stdin.readline()
"""


def test_service_stops_within_twelve_seconds_at_any_moment(tmp_path: Path) -> None:
    started = [
        (_start_signaled(tmp_path / moment / signals, moment, signals), moment, signals)
        for moment, signals in (
            ("1", "SIGTERM"),
            ("8000", "SIGINT"),
            ("20000", "SIGTERM"),
            ("ready", "SIGTERM"),
            ("ready", "SIGINT,SIGINT"),
        )
    ]
    with ExitStack() as stack:
        for process, _, _ in started:
            stack.enter_context(process)
            stack.callback(process.kill)
        for process, moment, signals in started:
            assert process.stderr is not None
            lines = []
            while "signaled\n" not in lines:
                lines.append(process.stderr.readline())
                assert lines[-1], (moment, signals, lines)
            code = process.wait(BOUND_SECONDS)
            # Before the command installs its handler, SIGTERM has its default action.
            codes = (0, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
            assert code in codes, (moment, signals, process.stderr.read())


def test_swallowed_interrupt_ends_process_at_deadline() -> None:
    with _start(DEAF) as process:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == "swallowed\n"


def test_second_signal_ends_process_at_once() -> None:
    process = _start(WORKING)
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "True\n", "the work was interrupted"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM


def test_service_started_with_sigint_ignored_ignores_it() -> None:
    process = _start(f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{WORKING}")
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "True\n"
    process.communicate("\n", timeout=20)
    assert process.returncode == 0, "SIGINT was counted as the first signal"


def _start(text: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _start_signaled(home: Path, moment: str, signals: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cli.signaled", moment, signals, "serve", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "COUNTERFOIL_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
