"""`python -m bench [MEASURE…] [--quick] [--docs FOLDER]`: prints a table; a full run also updates docs/."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, table
from bench.measures import MEASURES, QUICK, Sizes
from bench.processes import MeasureError, Others, Stripe, stripe
from bench.record import ROOT, busy_with, keep, load, surroundings


def main() -> None:
    """Runs the named measures, or all measures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compares benchmarks with their floors.")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"one of {', '.join(MEASURES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="use small sizes, to test the benchmarks themselves")
    parser.add_argument("--docs", type=Path, help="folder of the results; default: docs/ for a full run, else none")
    given = parser.parse_args()
    if unknown := set(given.measures) - MEASURES.keys():
        parser.error(f"unknown measure: {', '.join(sorted(unknown))}. Choose from {', '.join(MEASURES)}")
    names = [name for name in MEASURES if name in given.measures] or list(MEASURES)
    sizes = QUICK if given.quick else Sizes()
    about, started = surroundings(load()), time.monotonic()
    if about["load_before"] > 0.5 and not given.quick:
        print(f"The machine is busy (load {about['load_before']:.2f}): the figures will be too low.")
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, stripe(sizes.scale) as sandbox:
        others = Others(sandbox)
        for name in names:
            for figure in _measured(name, sandbox, sizes, Path(folder)):
                figures.append(figure)
                _print_progress(figure)
            about["others"][name] = others.cores()
    about["seconds"] = round(time.monotonic() - started)
    print(table(figures))
    print(f"{about['seconds']} s, initial load {about['load_before']:.2f}. {busy_with(about)}")
    docs = given.docs or (None if given.quick or given.measures else ROOT / "docs")
    if docs is not None:
        keep(docs, about, figures)
        print(f"Saved in {docs}")
    if any(figure.failed for figure in figures):
        sys.exit(1)


def _measured(name: str, sandbox: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """The figures of a measure; a failed measure is one failed figure, and the others continue."""
    try:
        yield from MEASURES[name](sandbox, sizes, folder)
    except MeasureError as failure:
        yield Figure(key=name, what=name, unit="rows/s", failed=str(failure), notes=[" ".join(str(failure).split())])


def _print_progress(figure: Figure) -> None:
    print(f"{figure.what}: {figure.cells()[1]} {figure.verdict}", file=sys.stderr, flush=True)
    for note in figure.notes:
        print(f"  {note}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
