"""Questions that are kept, by name, and the columns that a person wants to see of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.errors import SettingsError
from counterfoil.logging import redacted
from counterfoil.state import State

#: What a name and a question may have, and how many are kept.
MOST_CHARACTERS, LONGEST_QUESTION, MOST_QUESTIONS = 100, 20_000, 500
_KEPT = "questions"
_COLUMNS = "page_columns"


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """One SELECT over the tables of a destination (by URL; None for the one that most datasets have)."""

    name: str
    sql: str
    place: str | None = None


class SavedQueryService:
    """Save, list and remove questions; their names differ in more than case."""

    def __init__(self, state: State) -> None:
        self._state = state

    def list(self) -> tuple[SavedQuery, ...]:
        """All by name."""
        kept: list[dict[str, Any]] = self._state.setting(_KEPT) or []
        return tuple(sorted((SavedQuery(**one) for one in kept), key=lambda one: one.name.casefold()))

    def get(self, name: str) -> SavedQuery | None:
        """The question of a name, if there is one."""
        return next((one for one in self.list() if one.name.casefold() == name.strip().casefold()), None)

    def save(self, name: str, sql: str, place: str | None = None) -> SavedQuery:
        """Keeps it; one of the same name is replaced."""
        name = " ".join(name.split())
        if not name or len(name) > MOST_CHARACTERS or not name.isprintable():
            raise SettingsError("A question needs a name", hint=f"Give 1 to {MOST_CHARACTERS} characters.")
        if not sql.strip() or len(sql) > LONGEST_QUESTION:
            raise SettingsError(
                f"There is nothing to save as {redacted(name)!r}" if not sql.strip() else "The question is too long",
                hint=f"Write a SELECT of at most {LONGEST_QUESTION:,} characters first.",
            )
        question = SavedQuery(name, sql, place)
        with self._state.begin():
            others = [one for one in self.list() if one.name.casefold() != name.casefold()]
            if len(others) >= MOST_QUESTIONS:
                raise SettingsError(f"{MOST_QUESTIONS} questions are kept already", hint="Remove one first.")
            self._keep([*others, question])
        return question

    def remove(self, name: str) -> None:
        """Forgets it."""
        with self._state.begin():
            self._keep([one for one in self.list() if one.name.casefold() != name.casefold()])

    def columns(self, dataset: str) -> tuple[str, ...] | None:
        """The columns that a person chose to see of a dataset (by id); None for those that are shown unasked."""
        kept = (self._state.setting(_COLUMNS) or {}).get(dataset)
        return None if kept is None else tuple(kept)

    def keep_columns(self, dataset: str, names: Sequence[str] | None) -> None:
        """Keeps that choice, or takes it back."""
        with self._state.begin():
            kept = {key: value for key, value in (self._state.setting(_COLUMNS) or {}).items() if key != dataset}
            self._state.keep_setting(_COLUMNS, kept if names is None else {**kept, dataset: list(names)})

    def _keep(self, questions: Sequence[SavedQuery]) -> None:
        self._state.keep_setting(_KEPT, [{"name": one.name, "sql": one.sql, "place": one.place} for one in questions])
