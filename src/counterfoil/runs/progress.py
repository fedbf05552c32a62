"""How far a run is, told to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["connecting", "reading", "loading", "waiting", "proving", "done"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run."""

    report: str
    stage: Stage
    rows: int = 0
    #: Requests so far, those of this run alone.
    requests: int = 0
    #: Requests that were tried again.
    retries: int = 0
    #: What is waited for, in words.
    note: str = ""


Observe = Callable[[Progress], None]


def unobserved(_progress: Progress) -> None:
    """For runs that nobody watches."""
