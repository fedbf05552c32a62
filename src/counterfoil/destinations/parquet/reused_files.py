"""The files of a version that the next one can reuse unchanged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from counterfoil.destinations.parquet.time_ranges import Span, span_of


@dataclass(frozen=True, slots=True)
class ReusedFile:
    """A file of a version. To read its rows, `fetch` makes it available on this machine."""

    #: The path below the table's folder.
    name: str
    rows: int
    fetch: Callable[[], Path]
    span: Span | None = None


def files_below(folder: Path) -> list[Path]:
    """The Parquet files of a version, sorted by path."""
    return sorted(folder.rglob("*.parquet"))


def reused_in(folder: Path, created: str | None = None) -> list[ReusedFile]:
    """The same as reusable files, with the time ranges of the column `created`."""
    return [
        ReusedFile(path.relative_to(folder).as_posix(), rows_of([path]), partial(Path, path), span_of(path, created))
        for path in files_below(folder)
    ]


def rows_of(files: Iterable[Path]) -> int:
    """The number of rows in all the files."""
    return sum(pq.read_metadata(file).num_rows for file in files)


def link(kept: Iterable[ReusedFile], into: Path) -> None:
    """Links the files into a version on the same file system."""
    for file in kept:
        path, to = file.fetch(), free(into / file.name)
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, to)
        except OSError:
            # Not every file system has hard links.
            shutil.copyfile(path, to)


def free(path: Path) -> Path:
    """The path, or an unused name next to it: files from different month folders can have the same name."""
    number, found = 1, path
    while found.exists():
        number, found = number + 1, path.with_stem(f"{path.stem}-{number}")
    return found
