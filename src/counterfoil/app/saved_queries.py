"""Saved queries, and the columns that a user chose to see of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.state import State

#: Maximum length of a name and of a query, and maximum number of saved queries.
MOST_CHARACTERS, LONGEST_QUESTION, MOST_QUESTIONS = 100, 20_000, 500
_KEPT = "questions"
_COLUMNS = "page_columns"


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A SELECT over the tables of a destination (by URL; None for the destination of most datasets)."""

    name: str
    sql: str
    place: str | None = None


class SavedQueryService:
    """Save, list and remove queries; their names are case-insensitive."""

    def __init__(self, state: State) -> None:
        self._state = state

    def list(self) -> tuple[SavedQuery, ...]:
        """All saved queries, by name."""
        kept: list[dict[str, Any]] = self._state.setting(_KEPT) or []
        return tuple(sorted((SavedQuery(**one) for one in kept), key=lambda one: one.name.casefold()))

    def get(self, name: str) -> SavedQuery | None:
        """The query with this name; None if there is none."""
        return next((one for one in self.list() if one.name.casefold() == name.strip().casefold()), None)

    def save(self, name: str, sql: str, place: str | None = None) -> SavedQuery:
        """Saves a query; replaces a query with the same name."""
        name = " ".join(name.split())
        if not name or len(name) > MOST_CHARACTERS or not name.isprintable():
            raise SettingsError("invalid query name", hint=f"Use 1 to {MOST_CHARACTERS} printable characters.")
        if not sql.strip() or len(sql) > LONGEST_QUESTION:
            raise SettingsError(
                f"query {redacted(name)!r} is empty" if not sql.strip() else f"query {redacted(name)!r} is too long",
                hint=f"Write a SELECT of at most {LONGEST_QUESTION:,} characters.",
            )
        question = SavedQuery(name, sql, place)
        with self._state.begin():
            others = [one for one in self.list() if one.name.casefold() != name.casefold()]
            if len(others) >= MOST_QUESTIONS:
                raise SettingsError(f"limit of {MOST_QUESTIONS} saved queries reached", hint="Remove a query first.")
            self._keep([*others, question])
        return question

    def remove(self, name: str) -> None:
        """Removes a query."""
        with self._state.begin():
            self._keep([one for one in self.list() if one.name.casefold() != name.casefold()])

    def columns(self, dataset: str) -> tuple[str, ...] | None:
        """The columns that a user chose to see of a dataset (by id); None for the default columns."""
        kept = (self._state.setting(_COLUMNS) or {}).get(dataset)
        return None if kept is None else tuple(kept)

    def keep_columns(self, dataset: str, names: Sequence[str] | None) -> None:
        """Saves the chosen columns; None restores the default."""
        with self._state.begin():
            kept = {key: value for key, value in (self._state.setting(_COLUMNS) or {}).items() if key != dataset}
            self._state.keep_setting(_COLUMNS, kept if names is None else {**kept, dataset: list(names)})

    def _keep(self, questions: Sequence[SavedQuery]) -> None:
        self._state.keep_setting(_KEPT, [{"name": one.name, "sql": one.sql, "place": one.place} for one in questions])
