"""Facts about a kind of destination, known before one is opened. Pure; `kinds.py` lists the kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qs

from counterfoil.errors import SettingsError
from counterfoil.table_names import FILE_NAMES, NameRules
from counterfoil.values import Method

#: `atomic`: readers see the table before or after a load, even if the load is killed. `idempotent`: a run loaded twice
#: counts once. `merge`: by primary key. `history`: every version of every row, in a second table. `latest`: a view of
#: the latest snapshot of each append table. `query`: runs SQL queries.
Guarantee = Literal["atomic", "idempotent", "merge", "history", "latest", "query"]

#: The SQL dialect of a destination, for queries and column types.
Dialect = Literal["duckdb", "postgresql"]


@dataclass(frozen=True, slots=True)
class PathUrl:
    """A URL that names a file or folder: three slashes, a path and parameters, none of it percent-encoded."""

    names: Literal["file", "folder"]
    example: str
    #: Parameters after the `?`, each with an example value.
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Parameters that accept only their example value.
    fixed: frozenset[str] = frozenset()

    def parsed(self, url: str, relative_to: Path) -> tuple[Path, Mapping[str, str]]:
        """The path and the parameters of a URL. SettingsError if the URL is invalid."""
        scheme, _, rest = url.partition(":")
        scheme = scheme.lower()
        rest, _, query = rest.partition("?")
        path = rest.removeprefix("//").removeprefix("/")
        usage = f"Use a URL such as {self.example}"
        if not rest.startswith("///"):
            hint = f"Did you mean {scheme}:///{path}?" if path and "@" not in path else usage
            raise SettingsError(f"a {scheme} URL needs three slashes and no host", hint=hint)
        if not path.strip("/") or "\0" in path:
            raise SettingsError(f"the URL {scheme}:/// names no {self.names}", hint=usage)
        if path == ":memory:":
            raise SettingsError(
                "a table in memory would be lost when the command ends", hint=f"Use a file: {self.example}"
            )
        found: dict[str, str] = {}
        for word in query.split("&") if query else ():
            name, _, value = word.partition("=")
            known = self.parameters.get(name)
            if known is None or not value or (name in self.fixed and value != known):
                takes = " and ".join(f"?{name}={value}" for name, value in self.parameters.items()) or "no parameters"
                raise SettingsError(f"a {scheme} URL accepts {takes}", hint="Remove all other parameters.")
            found[name] = value
        return Path(relative_to, Path(path).expanduser()), found


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationKind:
    """One kind of destination: its URLs, and the capabilities of its tables."""

    #: The schemes of its URLs, in lower case, each with an example URL.
    schemes: Mapping[str, str]
    methods: frozenset[Method]
    guarantees: frozenset[Guarantee]
    dialect: Dialect = "duckdb"
    #: The package next to this module with `open_url` in its `destination.py`.
    package: str
    #: The library that it needs in addition to those of the core, and the extra that installs it.
    library: str = ""
    extra: str = ""
    #: The location that a URL names, normalized and without passwords, and the prefix of table names there.
    identity: Callable[[str, Path], tuple[str, str]]
    names: NameRules = FILE_NAMES
    #: The parser of a URL with a path; None for other URLs.
    path: PathUrl | None = None
    #: Whether only one machine has access to its tables.
    local: bool = False
    #: Whether tables store their rows in the report's order.
    ordered: bool = False
    #: Whether a query fetches files that later queries reuse while the destination is kept open.
    caches: bool = False

    @property
    def example(self) -> str:
        return next(iter(self.schemes.values()))


def path_identity(url: str, home: Path) -> tuple[str, str]:
    """The location is the path alone: the file layout and a published copy do not change it."""
    scheme, _, rest = url.partition(":")
    path = Path(rest.partition("?")[0].removeprefix("//").removeprefix("/")).expanduser()
    return f"{scheme.lower()}:{Path(home.absolute(), path).resolve()}", ""


def last_of(query: str, name: str, default: str = "") -> str:
    """The last value of a URL parameter."""
    return parse_qs(query).get(name, [default])[-1]
