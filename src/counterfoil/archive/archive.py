"""The archive of one run: a folder with its spool, its parts and, once it is closed, its ledger."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Self

import pyarrow as pa

from counterfoil.archive.disk import writing
from counterfoil.archive.ledger import Ledger, remove_ledger, write_ledger
from counterfoil.archive.parts import PartWriter, remove_parts
from counterfoil.archive.spool import Spool
from counterfoil.values import Part


class Archive:
    """Keeps what one run reads. Leaving the `with` by an exception keeps the spool and drops the part at hand.

    On a folder that a killed attempt left, the spool goes on behind its valid prefix, and the parts are cut anew:
    the pages of `read_spool` are to be written again first.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder = folder
        self.schema = schema
        with writing(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            remove_ledger(folder)
            remove_parts(folder)
        self._removed = False
        #: For the ledger: what could not be read, a sentence each.
        self.skipped: tuple[str, ...] = ()
        self.spool = Spool(folder / "pages.spool")
        self._parts = PartWriter(folder, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows; a part is cut about every 64 MB or 200,000 rows."""
        self._parts.write(batch)

    def parts(self) -> tuple[Part, ...]:
        """The parts cut so far; all of them once the archive is closed."""
        return tuple(self._parts.parts)

    @property
    def ledger(self) -> Ledger:
        """What the spool covers, with the parts cut so far."""
        return replace(self.spool.ledger, parts=self.parts(), skipped=self.skipped)

    def close(self) -> None:
        """Cuts the last part and writes the ledger; a second call changes nothing."""
        self._parts.cut()
        self.spool.close()
        write_ledger(self.folder, self.ledger)
        # What Arrow keeps for the next batch would stand beside what the load takes: 40 to 60 MB at its peak.
        pa.default_memory_pool().release_unused()

    def remove(self) -> None:
        """Removes the folder and all that is in it."""
        self._parts.abandon()
        with writing(self.folder):
            self.spool.close()
            shutil.rmtree(self.folder)
        self._removed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self._removed:
            self.close()
        elif kind is not None:
            self._parts.abandon()
            self.spool.close()
