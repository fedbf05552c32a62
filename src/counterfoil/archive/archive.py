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
    """Stores the pages and rows of one run. An exception in the `with` block keeps the spool and drops the open part.

    In the folder of a killed attempt, the spool continues after its valid prefix, and all parts are removed. The caller
    must first write the rows of the pages of `read_spool` again.
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
        #: For the ledger: the objects that could not be read, one sentence each.
        self.skipped: tuple[str, ...] = ()
        self.spool = Spool(folder / "pages.spool")
        self._parts = PartWriter(folder, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows. A new part starts about every 64 MB or 200,000 rows."""
        self._parts.write(batch)

    def parts(self) -> tuple[Part, ...]:
        """The finished parts; all parts once the archive is closed."""
        return tuple(self._parts.parts)

    @property
    def ledger(self) -> Ledger:
        """The coverage of the spool, with the finished parts."""
        return replace(self.spool.ledger, parts=self.parts(), skipped=self.skipped)

    def close(self) -> None:
        """Finishes the last part and writes the ledger; a second call has no effect."""
        self._parts.cut()
        self.spool.close()
        write_ledger(self.folder, self.ledger)
        # Arrow's unused memory would add 40 to 60 MB to the peak of the load.
        pa.default_memory_pool().release_unused()

    def remove(self) -> None:
        """Removes the folder with its contents."""
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
