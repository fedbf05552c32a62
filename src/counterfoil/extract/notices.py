"""What a run has to tell beside its rows: a sentence each, in the order of their first appearance, once."""

from __future__ import annotations

from collections.abc import Iterator


class Notices:
    """Collected on the event loop, read when the reading has ended."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        """Keeps the sentence unless it is known."""
        self._sentences.setdefault(sentence)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._sentences))
