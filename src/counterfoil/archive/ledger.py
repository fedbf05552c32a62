"""The ledger: the windows that a run has read to their end, and its parts. Derived from the spool."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from counterfoil.archive.disk import sync_folder, writing
from counterfoil.errors import RunError
from counterfoil.values import Page, Part, Window

_NAME = "ledger.json"


@dataclass(slots=True)
class Coverage:
    """The pages and rows of one source."""

    pages: int = 0
    rows: int = 0
    #: Windows with a stored last page, in the order in which they ended, with the bounds of that page.
    complete: list[Window] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """The coverage of a run's pages. The parts are set when the archive is closed."""

    sources: dict[str, Coverage] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    #: In an incremental run: parents of which all rows were read, in the order of reading.
    parents: dict[str, None] = field(default_factory=dict)
    #: In an incremental run: whether it became a full refresh.
    whole: bool = False
    #: The objects that the run could not read, one sentence each.
    skipped: tuple[str, ...] = ()

    @property
    def pages(self) -> int:
        """Number of pages of all sources."""
        return sum(coverage.pages for coverage in self.sources.values())

    @property
    def is_there(self) -> bool:
        """Whether the file of every part exists."""
        return all(part.path.exists() for part in self.parts)

    def add(self, page: Page) -> None:
        """Adds a page of the spool."""
        coverage = self.sources.setdefault(page.source, Coverage())
        coverage.pages += 1
        coverage.rows += len(page.objects)
        self.parents.update(dict.fromkeys(page.parents))
        self.whole = self.whole or page.whole
        if page.last and page.window not in coverage.complete:
            coverage.complete.append(page.window)

    @classmethod
    def of(cls, pages: Iterable[Page]) -> Ledger:
        """The ledger of these pages."""
        ledger = cls()
        for page in pages:
            ledger.add(page)
        return ledger


def write_ledger(folder: Path, ledger: Ledger) -> None:
    """Writes the ledger atomically. A ledger on disk means that the archive was closed."""
    data = {
        "sources": {
            source: {
                "pages": coverage.pages,
                "rows": coverage.rows,
                "complete": [[window.since, window.until] for window in coverage.complete],
            }
            for source, coverage in ledger.sources.items()
        },
        "parts": [
            {"name": part.path.name, "rows": part.rows, "bytes": part.bytes, "checksum": part.checksum}
            for part in ledger.parts
        ],
        **({"parents": list(ledger.parents)} if ledger.parents else {}),
        **({"whole": True} if ledger.whole else {}),
        **({"skipped": ledger.skipped} if ledger.skipped else {}),
    }
    with writing(folder):
        partial = folder / f"{_NAME}.partial"
        with partial.open("wb") as file:
            file.write(orjson.dumps(data, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / _NAME)
        sync_folder(folder)


def read_ledger(folder: Path) -> Ledger | None:
    """The ledger of a closed archive; None if the archive was not closed."""
    try:
        text = (folder / _NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{folder / _NAME} cannot be read: {error.strerror}") from error
    try:
        data = orjson.loads(text)
        sources = {
            source: Coverage(entry["pages"], entry["rows"], [Window(*bounds) for bounds in entry["complete"]])
            for source, entry in data["sources"].items()
        }
        parts = tuple(
            Part(folder / entry["name"], entry["rows"], entry["bytes"], entry["checksum"]) for entry in data["parts"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / _NAME} is damaged", hint="Run the report again.") from error
    return Ledger(
        sources, parts, dict.fromkeys(data.get("parents", ())), data.get("whole", False), tuple(data.get("skipped", ()))
    )


def remove_ledger(folder: Path) -> None:
    """Removes the ledger, which marks the archive as open."""
    (folder / _NAME).unlink(missing_ok=True)
