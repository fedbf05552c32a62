"""Alerts: recipients of notifications, and the notices for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

#: A run failed for good; the first run after that succeeded; the program paused a dataset; a dataset was not updated
#: for longer than its schedule requires; a check failed that passed before.
Kind = Literal["failed", "recovered", "paused", "late", "proof"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A recipient of notifications."""

    id: str
    name: str
    #: Its URL without the secrets.
    shown: str
    kinds: tuple[Kind, ...]
    #: Why the newest notice was not sent; None if it was, or if there is none.
    problem: str | None
    sent_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notification for one alert."""

    number: int
    alert: str
    title: str
    body: str
    tries: int
    #: The URL of the alert, with secrets.
    url: str = field(repr=False)
