"""The benchmarks run, with sizes too small to measure speed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.figures import Figure, table
from bench.measures import MEASURES
from bench.record import keep, surroundings

ROOT = Path(__file__).resolve().parents[1]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "--quick", *arguments], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "measures",
    [["rate"], pytest.param(["cpu", "merge", "side_by_side", "start"], marks=pytest.mark.thorough)],
    ids=" ".join,
)
def test_benchmarks_run_and_are_recorded(measures: Sequence[str], tmp_path: Path) -> None:
    done = bench(*measures, "--docs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (run,) = json.loads((tmp_path / "benchmarks.json").read_text())["runs"]
    assert all(figure["values"] for figure in run["figures"] if figure["key"] != "merge")
    page = (tmp_path / "benchmarks.md").read_text()
    assert all(figure["what"] in page and figure["what"] in done.stdout for figure in run["figures"])
    ElementTree.fromstring((tmp_path / "benchmarks.svg").read_text())


def test_unknown_measure_is_rejected_with_known_names() -> None:
    done = bench("speed")
    assert done.returncode == 2
    assert all(name in done.stderr for name in MEASURES)


@pytest.mark.parametrize(
    ("values", "less_is_better", "verdict"),
    [
        ([100, 99, 1], False, "goal met"),
        ([95, 96, 0], False, "bar met"),
        ([94, 94, 200], False, "missed"),
        ([90, 91, 200], True, "goal met"),
        ([96], True, "missed"),
        ([], False, "not there yet"),
    ],
)
def test_median_decides_verdict(values: list[float], less_is_better: bool, verdict: str) -> None:
    goal = 91 if less_is_better else 99
    figure = Figure(key="a", what="a", unit="rows/s", values=values, bar=95, goal=goal, less_is_better=less_is_better)
    assert figure.verdict == verdict


def test_failed_measure_is_shown_in_chart_page_and_table(tmp_path: Path) -> None:
    figure = Figure(key="memory_many", what="peak", unit="bytes", failed="too much", notes=["too much"], bar=500e6)
    keep(tmp_path, {**surroundings(0.25), "seconds": 1}, [figure])
    assert figure.verdict == "failed"
    assert "failed" in (tmp_path / "benchmarks.svg").read_text()
    assert "| failed |" in (tmp_path / "benchmarks.md").read_text()
    assert "failed" in table([figure])


def test_page_shows_newer_runs_first(tmp_path: Path) -> None:
    about = {**surroundings(0.25), "seconds": 1}
    for value in (2_000, 2_400):
        keep(tmp_path, about, [Figure(key="rate", what="one report", unit="rows/s", values=[value], bar=2_375)])
    page = (tmp_path / "benchmarks.md").read_text()
    assert page.index("| 2,400 rows/s |") < page.index("| 2,000 rows/s |")
    assert "one report" in table([Figure(key="rate", what="one report", unit="rows/s")])
