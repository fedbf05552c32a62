"""The record of a table's loads, stored in the description of its DataSet: Domo has no other place for it.

A load is recorded, with its execution, before the commit. A later load can then ask Domo for the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from counterfoil.destinations.protocol import since_replace
from counterfoil.errors import DestinationRejected
from counterfoil.values import Load, Loaded

_MARK = "Kept by Counterfoil, to be left as it is: "
#: Loads that are recorded with their runs. The maximum length of a description is not documented.
_KEPT = 20


@dataclass(frozen=True, slots=True)
class LoadNote:
    """One load, with its execution until that is known to have succeeded."""

    run: str
    method: str
    scope: Mapping[str, Any]
    done: Loaded
    execution: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """The latest loads, oldest first. Of older loads, only the scopes of rows in the table are stored."""

    notes: tuple[LoadNote, ...] = ()
    older: tuple[Mapping[str, Any], ...] = ()
    report: str = ""
    account: str = ""
    comment: str = ""
    #: The columns of the rows, while an unfinished load has set other columns in Domo.
    columns: tuple[tuple[str, str], ...] = ()

    def loaded(self, run: str) -> Loaded | None:
        """The result of the run's load; None if it was not loaded."""
        return next((note.done for note in reversed(self.notes) if note.run == run), None)

    def unsettled(self) -> LoadNote | None:
        """The last load, if its result is unknown."""
        return self.notes[-1] if self.notes and self.notes[-1].execution is not None else None

    def settled(self, *, well: bool) -> Record:
        """The record after the last load has succeeded (`well`) or failed."""
        *before, last = self.notes
        if not well:
            return replace(self, notes=tuple(before))
        return replace(self, notes=(*before, replace(last, execution=None)), columns=())

    def with_load(self, load: Load, done: Loaded, method: str, execution: int | None) -> Record:
        note = LoadNote(load.run, method, dict(load.scope), done, execution)
        notes = (*(each for each in self.notes if each.run != load.run), note)
        gone, kept = notes[:-_KEPT], notes[-_KEPT:]
        loads = [*reversed([(each.method, each.scope) for each in gone]), *(("append", scope) for scope in self.older)]
        older: list[Mapping[str, Any]] = []
        for scope in since_replace(loads):
            if scope not in older:
                older.append(scope)
        return Record(kept, tuple(older), load.report, load.account, load.comment, self.columns)

    def scopes(self) -> tuple[Mapping[str, Any], ...]:
        """The scopes of the loads whose rows are in the table, newest first; of older loads without duplicates."""
        loads = [(note.method, note.scope) for note in reversed(self.notes)]
        return since_replace([*loads, *(("append", scope) for scope in self.older)])

    def text(self) -> str:
        """The description: the comment for readers, and the record in the last line."""
        scopes: list[Mapping[str, Any]] = []
        for scope in (*self.older, *(note.scope for note in self.notes)):
            if scope not in scopes:
                scopes.append(scope)
        loads = [
            {"run": note.run, "method": note.method, "scope": scopes.index(note.scope), **asdict(note.done)}
            | ({"execution": note.execution} if note.execution is not None else {})
            for note in self.notes
        ]
        values: dict[str, Any] = {"report": self.report, "account": self.account, "scopes": scopes, "loads": loads}
        values["older"] = [scopes.index(scope) for scope in self.older]
        if self.columns:
            values["columns"] = self.columns
        line = _MARK + orjson.dumps(values).decode()
        return f"{self.comment}\n\n{line}" if self.comment else line


def record_in(description: str, name: str) -> Record | None:
    """The record in the description of the DataSet `name`; None if Counterfoil did not create it."""
    comment, mark, line = description.rpartition(_MARK)
    if not mark:
        return None
    try:
        values = orjson.loads(line)
        scopes = values["scopes"]
        counts = ("rows", "added", "changed", "deleted")
        notes = tuple(
            LoadNote(
                each["run"],
                each["method"],
                scopes[each["scope"]],
                Loaded(**{count: each[count] for count in counts}),
                each.get("execution"),
            )
            for each in values["loads"]
        )
        older = tuple(scopes[number] for number in values["older"])
        columns = tuple((name, kind) for name, kind in values.get("columns", ()))
        return Record(notes, older, values["report"], values["account"], comment.strip(), columns)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DestinationRejected(
            f"the record of loads in the description of the DataSet {name} is damaged",
            hint="Choose another table, or remove the DataSet in Domo.",
            code="damaged_record",
        ) from error
