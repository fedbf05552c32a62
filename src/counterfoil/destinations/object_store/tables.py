"""One table in an object store: its data files and its manifests, of which the greatest number is current.

A store has no rename. A version consists of data files with unique names and a manifest that is created after them, in
one step that only one of two loads can win. Names of data files begin with the number of their version. This
distinguishes leftovers of a killed load from the files that another load is writing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from counterfoil.destinations.files.table_folder import file_name
from counterfoil.destinations.files.table_record import Record
from counterfoil.destinations.object_store.manifest import (
    Entry,
    Manifest,
    data_name,
    manifest_name,
    number_of,
    read_manifest,
    version_of,
    written,
)
from counterfoil.destinations.object_store.store import Store
from counterfoil.destinations.parquet.reused_files import files_below, rows_of
from counterfoil.destinations.parquet.time_ranges import span_of
from counterfoil.destinations.protocol import Stop
from counterfoil.errors import CounterfoilError, DestinationBusy, TransientError
from counterfoil.logging import get_logger

_log = get_logger(__name__)
#: The folder of manifests. Readers of folders skip names that begin with `_`.
MANIFESTS = "_counterfoil"
#: How often a manifest may disappear between its listing and its read: each time, two loads were faster.
_TRIES = 5


class ObjectTable:
    """A table below the store's folder, by its name."""

    def __init__(self, store: Store, table: str) -> None:
        self._store = store
        self.folder = file_name(table)
        self.place = f"{store.place.kind.scheme}://{store.place.root}/{self.folder}"

    def latest(self) -> Manifest | None:
        """The current version, or the mark of a dropped table; None if there was never a load."""
        for _ in range(_TRIES):
            numbers = self._numbers()
            if not numbers:
                return None
            found = self._read(numbers[-1])
            if found is not None:
                return found
        raise TransientError(f"{self.place} changes faster than it can be read", hint="Try again.")

    def current(self) -> Manifest | None:
        """The current version; None if there is no table, or Counterfoil did not create it."""
        found = self.latest()
        return None if found is None or found.dropped else found

    def theirs(self) -> list[str]:
        """Paths of files in the table's folder that Counterfoil did not write."""
        found = self._store.sizes(self.folder)
        return [path for path in found if not path.startswith(f"{MANIFESTS}/") and version_of(path) is None]

    def fetch(self, path: str, to: Path, stop: Stop | None = None) -> Path:
        """Downloads a data file to `to`."""
        if not self._store.get(f"{self.folder}/{path}", to, stop):
            raise TransientError(
                f"{self.place}/{path} was replaced by another load", hint="Try again.", code="version_replaced"
            )
        return to

    def upload(self, folder: Path, number: int, created: str | None, stop: Stop | None) -> list[Entry]:
        """Uploads the folder's files as data of a version, and removes them again on failure."""
        load = uuid.uuid4().hex[:8]
        entries: list[Entry] = []
        with ExitStack() as undo:
            undo.callback(self.discard, entries)
            for file in files_below(folder):
                name = data_name(number, load, file.name)
                path = file.relative_to(folder).with_name(name).as_posix()
                entries.append(Entry(path, rows_of([file]), file.stat().st_size, span_of(file, created)))
                self._store.put(file, f"{self.folder}/{path}", stop)
            undo.pop_all()
        return entries

    def discard(self, entries: Iterable[Entry]) -> None:
        """Removes data files that no manifest lists, as far as possible; a later load removes the rest."""
        with suppress(CounterfoilError):
            self._store.remove([f"{self.folder}/{entry.path}" for entry in entries])

    def publish(self, manifest: Manifest) -> None:
        """Makes the manifest the current version. DestinationBusy if another load came first.

        After any other error, the manifest may or may not be current, so its files stay.
        """
        if not self._store.create(self._manifest(manifest.number), written(manifest)):
            there = self._read(manifest.number)
            if there is None or there.id != manifest.id:
                raise self._overtaken()
        if max(self._numbers(), default=manifest.number) == manifest.number:
            return
        # If a later load continued from this version, the next manifest refers to it. Otherwise, the later versions
        # are older than this one, and its number was free only because `sweep` had removed an earlier manifest.
        behind = self._read(manifest.number + 1)
        if behind is None or behind.after != manifest.id:
            raise self._overtaken()

    def sweep(self, manifest: Manifest, before: Manifest | None) -> None:
        """Removes files that neither this version nor `before` needs. On errors, a later load removes them.

        Files of later versions stay: another load may be writing them.
        """
        try:
            retired = [number for number in self._numbers() if number < (before or manifest).number]
            once = {path for number in retired if (old := self._read(number)) for path in old.paths}
            keep = manifest.paths | (before.paths if before else frozenset())
            gone = []
            for path in self._store.sizes(self.folder):
                version = version_of(path)
                written_before = version is not None and version <= manifest.number
                if path not in keep and (written_before or path in once):
                    gone.append(f"{self.folder}/{path}")
            self._store.remove([*gone, *map(self._manifest, retired)])
        except CounterfoilError as error:
            _log.warning("old files of a table could not be removed", place=self.place, error=str(error))

    def drop(self, current: Manifest) -> None:
        """Removes the table, except for the mark that it was dropped."""
        mark = Manifest(current.number + 1, Record([], 0), [], after=current.id, dropped=True)
        self.publish(mark)
        self.sweep(mark, None)

    def remove(self, paths: Iterable[str]) -> None:
        """Removes files that are in no version."""
        self._store.remove([f"{self.folder}/{path}" for path in paths])

    def _numbers(self) -> list[int]:
        found = map(number_of, self._store.names(f"{self.folder}/{MANIFESTS}"))
        return sorted(number for number in found if number is not None)

    def _read(self, number: int) -> Manifest | None:
        path = self._manifest(number)
        data = self._store.read(path)
        return (
            None if data is None else read_manifest(number, data, f"{self.place}/{MANIFESTS}/{manifest_name(number)}")
        )

    def _manifest(self, number: int) -> str:
        return f"{self.folder}/{MANIFESTS}/{manifest_name(number)}"

    def _overtaken(self) -> DestinationBusy:
        return DestinationBusy(
            f"another program loaded into {self.place} at the same time",
            hint="Try again; the table has the rows of that load.",
            code="concurrent_load",
        )
