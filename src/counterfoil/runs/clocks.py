"""The clocks of Stripe and of this machine: the instant that a run reads up to, and errors when they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from counterfoil.errors import ClockError

#: Objects that Stripe may still be writing when it responds are left to the next run.
MARGIN_SECONDS = 60
#: Larger differences are reported; a bookmark never moves back by more.
TOLERANCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Clocks:
    """Both clocks at one moment, in Unix seconds."""

    #: From Stripe's `Date` header.
    stripe: int
    ours: int

    @property
    def earlier(self) -> int:
        """The clock that runs use: too early rereads some objects, too late would miss some."""
        return min(self.stripe, self.ours)

    @property
    def difference(self) -> int:
        """Seconds by which Stripe's clock is ahead of this machine's; negative if it is behind."""
        return self.stripe - self.ours

    @property
    def warnings(self) -> tuple[str, ...]:
        """A warning if the clocks differ by more than TOLERANCE_SECONDS."""
        if abs(self.difference) <= TOLERANCE_SECONDS:
            return ()
        both = f"Stripe's is {_shown(self.stripe)}, this machine's is {_shown(self.ours)}"
        return (f"the clocks differ by {abs(self.difference):,} seconds ({both}); the run uses the earlier one",)

    def check_bookmark(self, bookmark: Mapping[str, Any] | None, dataset: str) -> None:
        """Raises ClockError if this run would begin more than TOLERANCE_SECONDS before the dataset's last run."""
        as_of = self.earlier - MARGIN_SECONDS
        before = (bookmark or {}).get("as_of")
        if before is None or as_of >= before - TOLERANCE_SECONDS:
            return
        raise ClockError(
            f"the clock went back: this run would read as of {_shown(as_of)}, but the last run read as of "
            f"{_shown(before)} (Stripe's clock is {_shown(self.stripe)}, this machine's is {_shown(self.ours)})",
            hint="Correct this machine's clock and run the dataset again; if both clocks are correct, request a full "
            f"refresh with: counterfoil datasets reload {dataset}",
        )


def _shown(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d %H:%M:%S} UTC"
