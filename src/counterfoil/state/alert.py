"""What an alert is: a place that is told of some kinds of things, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

#: A run failed for good, and the first one that succeeds after it; a dataset was paused by the program; it was not
#: updated for longer than its schedule says; a check of its run failed that passed before.
Kind = Literal["failed", "recovered", "paused", "late", "proof"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A place that is told."""

    id: str
    name: str
    #: Its address without what is secret in it.
    shown: str
    kinds: tuple[Kind, ...]
    #: Why the newest notice did not arrive; None when it did, or there was none.
    problem: str | None
    sent_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is to be sent to one place."""

    number: int
    alert: str
    title: str
    body: str
    tries: int
    #: Where to; it holds secrets.
    url: str = field(repr=False)
