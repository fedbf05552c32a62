"""Plants faults, one at a time, in a copy of the program, and runs the test that is named for each: it must turn red.

A fault is a piece of text in one file and what stands there instead; when the text is not there exactly once, the fault
does not apply, and that is an error too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, where, how, and who must notice."""

    name: str
    file: str
    right: str
    wrong: str
    test: str


FAULTS: tuple[Fault, ...] = ()


def planted(fault: Fault | None, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the tests on a copy of the program with the fault in it."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-fault-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if fault is not None:
            file = source / "counterfoil" / fault.file
            text = file.read_text()
            if text.count(fault.right) != 1:
                raise SystemExit(f"{fault.name}: its text stands {text.count(fault.right)} times in {fault.file}")
            file.write_text(text.replace(fault.right, fault.wrong))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", "--no-cov", *tests]
        environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def main() -> int:
    """0 when every fault was noticed by its test, and no test is red without one."""
    tests = sorted({fault.test for fault in FAULTS})
    sound = planted(None, tests)
    if sound.returncode:
        print(sound.stdout[-3000:])
        print("The tests are red without any fault.")
        return 1
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda fault: planted(fault, [fault.test]), FAULTS))
    missed = 0
    for fault, result in zip(FAULTS, results, strict=True):
        # 1 is a red test; anything else means that the test was not found or could not run.
        noticed = result.returncode == 1 and " failed" in result.stdout
        missed += not noticed
        print(f"{'noticed' if noticed else 'MISSED '}  {fault.name:<28} {fault.test}")
        if not noticed:
            print(result.stdout[-2000:])
    print(f"{len(FAULTS) - missed} of {len(FAULTS)} planted faults were noticed.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
