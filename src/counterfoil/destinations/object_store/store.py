"""A folder of an object store: lists, reads, writes and removes whole objects, one per step."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from counterfoil.destinations.cancellation import check_stop
from counterfoil.destinations.object_store.errors import NoFolder, foreign, mapped
from counterfoil.destinations.object_store.url import StoreAddress
from counterfoil.destinations.protocol import Stop
from counterfoil.errors import DestinationRejected, SettingsError

_LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
_PIECE_BYTES = 8 << 20
#: Options to transfer a file in pieces, with few of them in memory at a time.
_PIECES: dict[str, dict[str, int]] = {
    "s3": {"chunksize": _PIECE_BYTES, "max_concurrency": 4},
    "gs": {"chunksize": _PIECE_BYTES},
    "az": {"max_concurrency": 4},
}


class Store:
    """Paths are relative to the folder and separated by `/`. The library is loaded on first use."""

    def __init__(self, place: StoreAddress) -> None:
        self.place = place
        if find_spec(_LIBRARIES[place.kind.scheme]) is None:
            raise _missing(place)
        self._guard = threading.Lock()
        self._opened: Any = None
        self._errors: tuple[type[Exception], ...] = ()

    def folders(self) -> list[str]:
        """Names of the subfolders. Raises if the bucket does not exist."""
        found: list[dict[str, Any]] = []
        with self._files() as files:
            found = files.ls(self.place.root, detail=True)
        return sorted(self._below(one["name"]) for one in found if one["type"] == "directory")

    def names(self, folder: str) -> list[str]:
        """Names of the objects in the folder, sorted."""
        found: list[str] = []
        with self._files() as files:
            found = files.ls(self._path(folder), detail=False)
        return sorted(name.rpartition("/")[2] for name in found)

    def sizes(self, folder: str) -> dict[str, int]:
        """Size in bytes of each object in or below the folder, by its path in the folder."""
        found: dict[str, dict[str, Any]] = {}
        with self._files() as files:
            found = files.find(self._path(folder), detail=True)
        return {self._below(name).removeprefix(f"{folder}/"): one["size"] for name, one in sorted(found.items())}

    def read(self, path: str) -> bytes | None:
        """None if there is no such object."""
        found: list[bytes] = []
        with self._files() as files:
            found.append(files.cat_file(self._path(path)))
        return found[0] if found else None

    def create(self, path: str, data: bytes) -> bool:
        """Creates an object in one step; False if it exists. Safe with concurrent writers."""
        with self._writing() as files:
            try:
                files.pipe_file(self._path(path), data, mode="create")
            except FileExistsError:
                return False
            return True

    def put(self, file: Path, path: str, stop: Stop | None = None) -> None:
        """Uploads a file as an object. RunError if a stop is requested."""
        check_stop(stop)
        with self._writing() as files:
            pieces = _PIECES[self.place.kind.scheme]
            files.put_file(str(file), self._path(path), callback=_asking(stop), **pieces)

    def get(self, path: str, file: Path, stop: Stop | None = None) -> bool:
        """Downloads an object into a file, completely or not at all; False if there is no such object."""
        check_stop(stop)
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"{file.name}.{threading.get_ident()}.half")
        with self._files() as files:
            pieces = _PIECES["s3"] if self.place.kind.scheme == "s3" else {}
            files.get_file(self._path(path), str(half), callback=_asking(stop), **pieces)
            half.replace(file)
        return file.exists()

    def remove(self, paths: Sequence[str]) -> None:
        """Removes objects; missing ones are ignored."""
        if paths:
            with self._files() as files:
                files.rm([self._path(path) for path in paths])

    @contextmanager
    def _files(self) -> Iterator[Any]:
        """fsspec's file system. The block ends silently if there is no object with the name."""
        files = self._open()
        try:
            with mapped(self.place, self._errors):
                yield files
        except NoFolder:
            pass

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """The same for writes, where a missing name means a missing bucket."""
        files = self._open()
        try:
            with mapped(self.place, self._errors):
                yield files
        except NoFolder as error:
            bucket = f"{self.place.kind.scheme}://{self.place.bucket}"
            raise DestinationRejected(
                f"bucket {bucket} not found", hint="Create it first.", code="bucket_missing"
            ) from error

    def _open(self) -> Any:
        with self._guard:
            if self._opened is None:
                try:
                    from fsspec import filesystem

                    self._errors = foreign(self.place)
                except ImportError as error:
                    raise _missing(self.place) from error
                with mapped(self.place, self._errors):
                    self._opened = filesystem(self.place.kind.scheme, use_listings_cache=False, **self._options())
        return self._opened

    def _options(self) -> dict[str, Any]:
        kind, given = self.place.kind, self.place.parameters
        options: dict[str, Any] = {kind.takes[name]: value for name, value in given.items()}
        if kind.scheme == "s3" and "region_name" in options:
            options["client_kwargs"] = {"region_name": options.pop("region_name")}
        if kind.scheme == "az":
            options["anon"] = False
        return options

    def _path(self, path: str) -> str:
        return f"{self.place.root}/{path}"

    def _below(self, name: str) -> str:
        return name.strip("/").removeprefix(f"{self.place.root}/")


def _missing(place: StoreAddress) -> SettingsError:
    return SettingsError(
        f"{place.kind.scheme} destinations need the package {_LIBRARIES[place.kind.scheme]}, which is not installed",
        hint=f"Run: pip install 'counterfoil[{place.kind.extra}]'",
    )


def _asking(stop: Stop | None) -> Any:
    """An fsspec callback for each transferred piece. Raises RunError if a stop is requested."""
    from fsspec.callbacks import Callback

    class Asking(Callback):  # type: ignore[misc]
        def call(self, *_: Any, **__: Any) -> None:
            check_stop(stop)

    return Asking()
