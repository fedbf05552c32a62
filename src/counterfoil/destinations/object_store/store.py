"""A folder of an object store: whole objects are listed, read, written and removed, in no step more than one."""

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
#: How a file is moved: in pieces, of which few are in memory at a time.
_PIECES: dict[str, dict[str, int]] = {
    "s3": {"chunksize": _PIECE_BYTES, "max_concurrency": 4},
    "gs": {"chunksize": _PIECE_BYTES},
    "az": {"max_concurrency": 4},
}


class Store:
    """Paths are below the place, with `/` between their parts; the library is loaded when it is first asked."""

    def __init__(self, place: StoreAddress) -> None:
        self.place = place
        if find_spec(_LIBRARIES[place.kind.scheme]) is None:
            raise _missing(place)
        self._guard = threading.Lock()
        self._opened: Any = None
        self._errors: tuple[type[Exception], ...] = ()

    def folders(self) -> list[str]:
        """Names of the folders in the place; raises when its bucket is not there."""
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
        """Bytes of each object in the folder or below it, by its path in the folder."""
        found: dict[str, dict[str, Any]] = {}
        with self._files() as files:
            found = files.find(self._path(folder), detail=True)
        return {self._below(name).removeprefix(f"{folder}/"): one["size"] for name, one in sorted(found.items())}

    def read(self, path: str) -> bytes | None:
        """None when there is no such object."""
        found: list[bytes] = []
        with self._files() as files:
            found.append(files.cat_file(self._path(path)))
        return found[0] if found else None

    def create(self, path: str, data: bytes) -> bool:
        """Writes an object in one step, unless there is one by this name, also when two do it at once."""
        with self._writing() as files:
            try:
                files.pipe_file(self._path(path), data, mode="create")
            except FileExistsError:
                return False
            return True

    def put(self, file: Path, path: str, stop: Stop | None = None) -> None:
        """Writes a file as an object, until `stop` says to give up."""
        check_stop(stop)
        with self._writing() as files:
            pieces = _PIECES[self.place.kind.scheme]
            files.put_file(str(file), self._path(path), callback=_asking(stop), **pieces)

    def get(self, path: str, file: Path, stop: Stop | None = None) -> bool:
        """Reads an object into a file, whole or not at all; False when there is no such object."""
        check_stop(stop)
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f"{file.name}.{threading.get_ident()}.half")
        with self._files() as files:
            pieces = _PIECES["s3"] if self.place.kind.scheme == "s3" else {}
            files.get_file(self._path(path), str(half), callback=_asking(stop), **pieces)
            half.replace(file)
        return file.exists()

    def remove(self, paths: Sequence[str]) -> None:
        """Objects that are not there are none to remove."""
        if paths:
            with self._files() as files:
                files.rm([self._path(path) for path in paths])

    @contextmanager
    def _files(self) -> Iterator[Any]:
        """fsspec's files; the block ends without a word where there is nothing by the name."""
        files = self._open()
        try:
            with mapped(self.place, self._errors):
                yield files
        except NoFolder:
            pass

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """The same, where nothing by the name means that there is no bucket."""
        files = self._open()
        try:
            with mapped(self.place, self._errors):
                yield files
        except NoFolder as error:
            bucket = f"{self.place.kind.scheme}://{self.place.bucket}"
            raise DestinationRejected(f"there is no bucket {bucket}", hint="Make it first.") from error

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
        f"{place.kind.scheme}:// needs the package {_LIBRARIES[place.kind.scheme]}",
        hint=f"pip install 'counterfoil[{place.kind.extra}]'",
    )


def _asking(stop: Stop | None) -> Any:
    """What fsspec tells of each piece that was moved; raises when it is time to give up."""
    from fsspec.callbacks import Callback

    class Asking(Callback):  # type: ignore[misc]
        def call(self, *_: Any, **__: Any) -> None:
            check_stop(stop)

    return Asking()
