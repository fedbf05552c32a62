"""The progress of an interrupted reading of the same report, collected from its pages to resume from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from counterfoil.extract.listing import Resumed
from counterfoil.extract.windows import Reached
from counterfoil.reports.report import Collected, Listing, Preview, Report, Union
from counterfoil.values import Page, StripeObject


@dataclass(slots=True)
class ResumeState:
    """Filled by `add`, page by page in the order of their arrival. Empty for a new reading."""

    report: Report
    rows: int = 0
    #: The keys of the rows read so far, for reports that drop duplicates while reading.
    keys: set[tuple[str, ...]] = field(default_factory=set)
    #: By source: the identifiers of each page's rows, one per line.
    _identifiers: dict[str, list[str]] = field(default_factory=dict)
    #: Sources that were read without windows, and whether they were read to their end.
    _unwindowed: dict[str, bool] = field(default_factory=dict)
    _reached: dict[str, dict[int | None, Reached]] = field(default_factory=dict)

    def add(self, page: Page) -> None:
        """Adds a page to the progress."""
        self.rows += len(page.objects)
        windows = self._reached.setdefault(page.source, {})
        self._identifiers.setdefault(page.source, []).append("\n".join(str(one.get("id")) for one in page.objects))
        if isinstance(self.report.source, Collected | Preview):
            self.keys.update(map(self.key, page.objects))
        if page.unwindowed:
            self._unwindowed[page.source] = page.last
            return
        seconds = self._last_second(page)
        # Another window can end in the same second: a window that lost its cursor continues as a new one from there.
        for other in windows.values():
            if other.position and page.position and other.position.oldest == page.position.oldest:
                seconds |= other.last_second
        windows[page.window.until] = Reached(page.window, page.position, page.last, seconds, _before_last(page))

    def key(self, one: StripeObject) -> tuple[str, ...]:
        """The values of the report's primary key in a row."""
        return tuple(str(one.get(name)) for name in self.report.primary_key)

    def reached(self, source: str) -> list[Reached]:
        """The progress of each window of the source."""
        return list(self._reached.get(source, {}).values())

    def resumed(self, source: str) -> Resumed:
        """The progress from which to resume the source's list."""
        return Resumed(
            tuple(self.reached(source)),
            tuple(self._identifiers.get(source, ())),
            unwindowed=source in self._unwindowed,
            ended=self._unwindowed.get(source, False),
        )

    def _last_second(self, page: Page) -> frozenset[str]:
        created = self._created(page.source)
        if created is None or page.position is None:
            return frozenset()
        return frozenset(str(one["id"]) for one in page.objects if one.get(created) == page.position.oldest)

    def _created(self, source: str) -> str | None:
        match self.report.source:
            case Listing(created=created):
                return created
            case Union(listings=listings) if source in listings:
                return listings[source].created
            case _:
                return None


def _before_last(page: Page) -> str | None:
    """The id of the row before the last listed one, if the page contains both."""
    if page.position is None or len(page.objects) < 2 or page.objects[-1].get("id") != page.position.cursor:
        return None
    before = page.objects[-2].get("id")
    return before if isinstance(before, str) else None
