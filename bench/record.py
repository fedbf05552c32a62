"""Stores the results: docs/benchmarks.json has all runs, docs/benchmarks.md the latest one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.chart import chart
from bench.figures import Figure, markdown

ROOT = Path(__file__).resolve().parents[1]
METHOD = Path(__file__).with_name("method.md")
LIBRARIES = ("counterfoil", "aiohttp", "duckdb", "orjson", "pyarrow", "stripe", "pandas")
HISTORY = ("rate", "slow", "side_by_side", "cpu", "cpu_share", "memory_few", "memory_many", "help", "loop_150")
_PREAMBLE = """\
Results of `make bench` on one machine. Each figure is compared with its floor from the same run. Compare the ratios,
because absolute figures depend on the machine. The result is the median of the rounds; measures of a million rows have
one round."""


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def surroundings(load_before: float) -> dict[str, Any]:
    """Time, commit, machine and library versions of the run."""
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--", "src")),
        "machine": {
            "processor": _named("/proc/cpuinfo", "model name") or platform.processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory": _named("/proc/meminfo", "MemTotal"),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "load_before": load_before,
        #: Cores that other programs used during each measure.
        "others": {},
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _named(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def keep(folder: Path, about: dict[str, Any], figures: Sequence[Figure]) -> None:
    """Adds the run to the history, and updates page and chart."""
    history_file = folder / "benchmarks.json"
    runs = json.loads(history_file.read_text())["runs"] if history_file.exists() else []
    runs.append({**about, "figures": [figure.as_dict() for figure in figures]})
    history_file.write_text(json.dumps({"runs": runs}, indent=1, ensure_ascii=False) + "\n")
    write_page(folder)


def write_page(folder: Path) -> None:
    """Writes page and chart of the latest run in the history."""
    runs = json.loads((folder / "benchmarks.json").read_text())["runs"]
    about = runs[-1]
    figures = [Figure(**_fields(stored)) for stored in about["figures"]]
    (folder / "benchmarks.svg").write_text(chart(figures, _caption(about)))
    (folder / "benchmarks.md").write_text(_page(about, figures, runs))


def busy_with(about: dict[str, Any]) -> str:
    """A sentence about the CPU use of other programs during the run."""
    cores = [f"{name} {used:.2f}" for name, used in about["others"].items() if used is not None]
    return f"Cores that other programs used: {', '.join(cores)}." if cores else ""


def _caption(about: dict[str, Any]) -> str:
    machine = about["machine"]
    return f"{about['at'][:10]}, commit {about['commit']}, {machine['processor']}, {machine['cores']} cores"


def _page(about: dict[str, Any], figures: Sequence[Figure], runs: Sequence[dict[str, Any]]) -> str:
    machine, versions = about["machine"], about["versions"]
    notes = [f"- {figure.what}: {note.rstrip('.')}." for figure in figures for note in figure.notes]
    changed = " with changes" if about["changed"] else ""
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory']} of memory, {machine['system']}"
    when = f"{about['at']}, commit {about['commit']}{changed}, {about['seconds']} s in total; "
    when += f"initial load of the machine {about['load_before']:.2f}. {busy_with(about)}"
    libraries = ", ".join(f"{name} {text}" for name, text in versions.items())
    parts = (
        "# Benchmarks",
        _PREAMBLE,
        "![Figures with their bars and goals](benchmarks.svg)",
        markdown(figures),
        "\n".join((when, f"{where}.", f"Python {machine['python']}, {libraries}.")),
        METHOD.read_text().strip(),
        "## Notes",
        "\n".join(notes),
        "## History",
        _history(runs),
    )
    return "\n\n".join(parts) + "\n"


def _history(runs: Sequence[dict[str, Any]]) -> str:
    """The latest ten runs, newest first."""
    lines = [f"| date | commit | load | {' | '.join(HISTORY)} |", f"| --- | --- | --- {'| --: ' * len(HISTORY)}|"]
    for about in reversed(runs[-10:]):
        medians = {each["key"]: Figure(**_fields(each)) for each in about["figures"] if each["values"]}
        cells = [medians[key].text(medians[key].value) if key in medians else "" for key in HISTORY]
        lines.append(f"| {about['at'][:16]} | {about['commit']} | {about['load_before']:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _fields(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name in Figure.__slots__}
