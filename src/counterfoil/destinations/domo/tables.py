"""The record of a table's loads, which is kept in the description of its DataSet: Domo has no other place for it.

A load is noted, with its execution, before that is committed. So whoever finds the note asks Domo what became of it.
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
#: Loads that are told apart by their runs; how long a description may be is not documented.
_KEPT = 20


@dataclass(frozen=True, slots=True)
class LoadNote:
    """One load, and the execution that it is in until that is known to have ended well."""

    run: str
    method: str
    scope: Mapping[str, Any]
    done: Loaded
    execution: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Loads, the oldest first; what is left of older ones are the scopes of those whose rows are in the table."""

    notes: tuple[LoadNote, ...] = ()
    older: tuple[Mapping[str, Any], ...] = ()
    report: str = ""
    account: str = ""
    comment: str = ""
    #: Those of the rows, while a load that has not ended well has told Domo others.
    columns: tuple[tuple[str, str], ...] = ()

    def loaded(self, run: str) -> Loaded | None:
        """What the run did to the table."""
        return next((note.done for note in reversed(self.notes) if note.run == run), None)

    def unsettled(self) -> LoadNote | None:
        """The last load, when nobody saw how it ended."""
        return self.notes[-1] if self.notes and self.notes[-1].execution is not None else None

    def settled(self, *, well: bool) -> Record:
        """The same with the last load ended."""
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
        """Of each load whose rows are in the table, the latest first; of older ones once for each scope."""
        loads = [(note.method, note.scope) for note in reversed(self.notes)]
        return since_replace([*loads, *(("append", scope) for scope in self.older)])

    def text(self) -> str:
        """The description: the comment for people, and the record in the last line."""
        scopes: list[Mapping[str, Any]] = []
        for scope in (*self.older, *(note.scope for note in self.notes)):
            if scope not in scopes:
                scopes.append(scope)
        loads = [
            {"run": note.run, "method": note.method, "scope": scopes.index(note.scope), **asdict(note.done)}
            | ({"execution": note.execution} if note.execution is not None else {})
            for note in self.notes
        ]
        told: dict[str, Any] = {"report": self.report, "account": self.account, "scopes": scopes, "loads": loads}
        told["older"] = [scopes.index(scope) for scope in self.older]
        if self.columns:
            told["columns"] = self.columns
        line = _MARK + orjson.dumps(told).decode()
        return f"{self.comment}\n\n{line}" if self.comment else line


def record_in(description: str, name: str) -> Record | None:
    """The record in a description of the DataSet `name`; None when there is none, so that it is not ours."""
    comment, mark, line = description.rpartition(_MARK)
    if not mark:
        return None
    try:
        told = orjson.loads(line)
        scopes = told["scopes"]
        counts = ("rows", "added", "changed", "deleted")
        notes = tuple(
            LoadNote(
                each["run"],
                each["method"],
                scopes[each["scope"]],
                Loaded(**{count: each[count] for count in counts}),
                each.get("execution"),
            )
            for each in told["loads"]
        )
        older = tuple(scopes[number] for number in told["older"])
        columns = tuple((name, kind) for name, kind in told.get("columns", ()))
        return Record(notes, older, told["report"], told["account"], comment.strip(), columns)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DestinationRejected(
            f"the description of the DataSet {name} is damaged, and with it the record of its loads",
            hint="Choose another table, or remove the DataSet in Domo.",
        ) from error
