"""Two clocks, Stripe's and ours: the instant as of which a run reads, and what is wrong when they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from counterfoil.errors import ClockError

#: What Stripe may still be writing when it answers is left to the next run.
MARGIN_SECONDS = 60
#: Clocks that differ by more are reported; a bookmark never moves back by more.
TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Clocks:
    """What both clocks say at one moment, in Unix seconds."""

    #: By Stripe's `Date`.
    stripe: int
    ours: int

    @property
    def earlier(self) -> int:
        """The one to believe: too early only reads some objects twice, too late would miss some."""
        return min(self.stripe, self.ours)

    @property
    def difference(self) -> int:
        """Seconds by which Stripe's clock is ahead of ours; negative when it is behind."""
        return self.stripe - self.ours

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence when they differ by more than what networks and people explain."""
        if abs(self.difference) <= TOLERANCE_SECONDS:
            return ()
        told = f"Stripe's clock says {_shown(self.stripe)}, this machine's {_shown(self.ours)}"
        return (f"The clocks differ by {abs(self.difference):,} seconds: {told}. The run uses the earlier one.",)

    def check_bookmark(self, bookmark: Mapping[str, Any] | None, dataset: str) -> None:
        """ClockError when a run that begins now would begin well before the dataset's last one did."""
        as_of = self.earlier - MARGIN_SECONDS
        before = (bookmark or {}).get("as_of")
        if before is None or as_of >= before - TOLERANCE_SECONDS:
            return
        raise ClockError(
            f"The clock went back: this run would read as of {_shown(as_of)}, and the last one read as of "
            f"{_shown(before)}. Stripe's clock says {_shown(self.stripe)}, this machine's {_shown(self.ours)}.",
            hint="Set the clock of this machine right, and run it again. If both clocks are right now, the last run's "
            f"was wrong: `counterfoil datasets reload {dataset}` lets the next run read everything.",
        )


def _shown(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d %H:%M:%S} UTC"
