"""The files of a version that the next one may keep as they are."""

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
    """A file of a version. Where its rows have to be read, they are on this machine after `fetch`."""

    #: The path below the table's folder.
    name: str
    rows: int
    fetch: Callable[[], Path]
    span: Span | None = None


def files_below(folder: Path) -> list[Path]:
    """The Parquet files of a version, in order of their paths."""
    return sorted(folder.rglob("*.parquet"))


def reused_in(folder: Path, created: str | None = None) -> list[ReusedFile]:
    """The same as what may be kept, with the spans of the column."""
    return [
        ReusedFile(path.relative_to(folder).as_posix(), rows_of([path]), partial(Path, path), span_of(path, created))
        for path in files_below(folder)
    ]


def rows_of(files: Iterable[Path]) -> int:
    """Rows of all the files."""
    return sum(pq.read_metadata(file).num_rows for file in files)


def link(kept: Iterable[ReusedFile], into: Path) -> None:
    """Brings the files into a version on the same file system."""
    for file in kept:
        path, to = file.fetch(), free(into / file.name)
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, to)
        except OSError:
            # Not every file system has hard links.
            shutil.copyfile(path, to)


def free(path: Path) -> Path:
    """The path, or a name beside it that no file has: files of two months that lose their folders may share one."""
    number, found = 1, path
    while found.exists():
        number, found = number + 1, path.with_stem(f"{path.stem}-{number}")
    return found
