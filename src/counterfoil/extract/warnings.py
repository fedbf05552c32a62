"""The warnings of a run: one sentence each, in the order of their first occurrence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator


class Warnings:
    """Collected on the event loop; read after the reading has ended."""

    def __init__(self) -> None:
        #: The number of occurrences of each sentence, and its first subject.
        self._said: dict[str, tuple[int, str]] = {}
        #: Notes that need no action, with their counts.
        self.counts: Counter[str] = Counter()

    def add(self, sentence: str, *, of: str = "") -> None:
        """Adds a warning. Repeated sentences are counted, and the first subject (`of`) is shown."""
        count, first = self._said.get(sentence, (0, of))
        self._said[sentence] = (count + 1, first)

    def tell(self, sentence: str, count: int = 1) -> None:
        """Counts a note for the run's log that needs no action."""
        self.counts[sentence] += count

    def __iter__(self) -> Iterator[str]:
        for sentence, (count, first) in self._said.items():
            yield f"{sentence} ({count:,}, the first: {first})" if first else sentence
