"""What a run has to tell beside its rows: a sentence each, in the order of their first appearance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator


class Warnings:
    """Collected on the event loop, read when the reading has ended."""

    def __init__(self) -> None:
        #: How often each sentence was said, and of what first.
        self._said: dict[str, tuple[int, str]] = {}
        #: What happened as it should, and how often.
        self.told: Counter[str] = Counter()

    def add(self, sentence: str, *, of: str = "") -> None:
        """Keeps the sentence; when it is said of several things, they are counted and the first is named."""
        count, first = self._said.get(sentence, (0, of))
        self._said[sentence] = (count + 1, first)

    def tell(self, sentence: str, count: int = 1) -> None:
        """Counts what a reader of the run's log may want to know, and need not act on."""
        self.told[sentence] += count

    def __iter__(self) -> Iterator[str]:
        for sentence, (count, first) in self._said.items():
            yield f"{sentence} ({count:,}, the first: {first})" if first else sentence
