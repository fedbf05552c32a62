"""What is known of a kind of destination before one is opened. Pure; `kinds.py` lists them."""

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

#: `atomic`: readers see the table before or after a load, whatever kills it. `idempotent`: a run loaded twice counts
#: once. `merge`: by primary key. `history`: every version of every row, beside the table. `latest`: a view of the
#: latest snapshot beside each append table. `query`: answers SQL.
Guarantee = Literal["atomic", "idempotent", "merge", "history", "latest", "query"]

#: Whose SQL a destination speaks, in questions and in the types of its columns.
Dialect = Literal["duckdb", "postgresql"]


@dataclass(frozen=True, slots=True)
class PathUrl:
    """A URL that names a file or folder: three slashes, a path and parameters, nothing of it percent-encoded."""

    names: Literal["file", "folder"]
    example: str
    #: What may stand behind the `?`, with an example of each.
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    #: Those of them that take the value of their example alone.
    fixed: frozenset[str] = frozenset()

    def parsed(self, url: str, relative_to: Path) -> tuple[Path, Mapping[str, str]]:
        """The path and the parameters of a URL; SettingsError when it names none."""
        scheme, _, rest = url.partition(":")
        scheme = scheme.lower()
        rest, _, query = rest.partition("?")
        path = rest.removeprefix("//").removeprefix("/")
        such = f"Such as {self.example}."
        if not rest.startswith("///"):
            hint = f"Did you mean {scheme}:///{path}?" if path and "@" not in path else such
            raise SettingsError(f"a {scheme} destination has three slashes and no host", hint=hint)
        if not path.strip("/") or "\0" in path:
            raise SettingsError(f"{scheme}:/// names no {self.names}", hint=such)
        if path == ":memory:":
            raise SettingsError(
                "a table in memory would be gone with the command", hint=f"Name a file: {self.example}."
            )
        found: dict[str, str] = {}
        for word in query.split("&") if query else ():
            name, _, value = word.partition("=")
            known = self.parameters.get(name)
            if known is None or not value or (name in self.fixed and value != known):
                takes = " and ".join(f"?{name}={value}" for name, value in self.parameters.items()) or "no parameters"
                raise SettingsError(f"a {scheme} destination takes {takes}", hint="Remove what else is behind the ?.")
            found[name] = value
        return Path(relative_to, Path(path).expanduser()), found


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationKind:
    """One kind of destination: what its URL says, and what its tables can do."""

    #: The schemes of its URLs, in lower case, with an example of such a URL.
    schemes: Mapping[str, str]
    methods: frozenset[Method]
    guarantees: frozenset[Guarantee]
    dialect: Dialect = "duckdb"
    #: The package beside this module, whose `destination.py` has `open_url`.
    package: str
    #: The library that it needs besides those of the core, and the extra that installs it.
    library: str = ""
    extra: str = ""
    #: The place that a URL names, in one spelling and without passwords, and the prefix of table names there.
    identity: Callable[[str, Path], tuple[str, str]]
    names: NameRules = FILE_NAMES
    #: How a URL with a path is read; None for all others.
    path: PathUrl | None = None
    #: Whether one machine alone has its tables.
    local: bool = False
    #: Whether a table's rows lie in the report's own order.
    ordered: bool = False
    #: Whether a query fetches files that the next one can use again while the destination is held.
    caches: bool = False

    @property
    def example(self) -> str:
        return next(iter(self.schemes.values()))


def path_identity(url: str, home: Path) -> tuple[str, str]:
    """How files lie in a folder, and who else gets a copy, makes it no other place."""
    scheme, _, rest = url.partition(":")
    path = Path(rest.partition("?")[0].removeprefix("//").removeprefix("/")).expanduser()
    return f"{scheme.lower()}:{Path(home.absolute(), path).resolve()}", ""


def last_of(query: str, name: str, default: str = "") -> str:
    """The last value of a parameter of a URL."""
    return parse_qs(query).get(name, [default])[-1]
