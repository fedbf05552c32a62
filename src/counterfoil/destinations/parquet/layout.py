"""The layout of a table's files: in one folder, or in a Hive-style folder for each month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from counterfoil.destinations.parquet.reused_files import ReusedFile
from counterfoil.destinations.protocol import same_name
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.values import Load

#: The name of the month column for readers.
MONTH = "created_month"
#: Hive's folder value for null.
_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Layout:
    """Folders by the month, in UTC, of the time in `column`; None for one folder."""

    column: str | None = None

    @classmethod
    def of(cls, load: Load, columns: Sequence[tuple[str, str]], *, monthly: bool) -> Layout:
        """The layout of a table. Without a creation time, or with a column `created_month`, it has no months."""
        kinds = {same_name(name): (name, kind) for name, kind in columns}
        name, kind = kinds.get(same_name(load.created or ""), ("", ""))
        return cls(name if monthly and kind == "TIMESTAMP WITH TIME ZONE" and MONTH not in kinds else None)

    @property
    def nowhere(self) -> str:
        """The folder of rows without a month."""
        return "" if self.column is None else f"{MONTH}={_NULL}"

    def fits(self, file: ReusedFile) -> bool:
        """Whether the file is where this layout puts it. With months, a file without rows never is."""
        return file.name.startswith(f"{MONTH}=") and file.rows > 0 if self.column else "/" not in file.name

    def folders(self, cursor: duckdb.DuckDBPyConnection, source: str, where: str) -> list[tuple[str, str]]:
        """The folders of the rows, each with the SQL condition for its rows."""
        if self.column is None:
            return [("", "true")]
        month = f"strftime({quoted(self.column)}, '%Y-%m')"
        sql = f"SELECT DISTINCT {month} FROM {source} WHERE {where} ORDER BY 1"  # noqa: S608 - quoted
        return [
            (self.nowhere, f"{month} IS NULL") if name is None else (f"{MONTH}={name}", f"{month} = {literal(name)}")
            for (name,) in cursor.execute(sql).fetchall()
        ]
