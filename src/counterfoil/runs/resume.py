"""Decides whether a run can resume from stored pages: they must be consistent and not too old."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from counterfoil.archive import Archive, read_spool
from counterfoil.errors import RunError
from counterfoil.extract.spool_check import contradiction
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.values import Page

#: Older pages are read again, because too many objects may have changed since.
MOST_SECONDS = 24 * 3600
_SPOOL = "pages.spool"


def drop_contradictory_pages(folder: Path, plan: Plan) -> list[str]:
    """Empties the folder and returns a warning if its pages contradict one another or the plan."""
    pages = read_spool(folder / _SPOOL)
    try:
        problem = contradiction(pages, plan.report, plan.window, limit=plan.limit)
    except RunError as error:
        problem = error.message
    if problem is None:
        return []
    _empty(folder)
    return [f"all pages were read again, because the stored ones contradict one another: {problem}"]


def drop_old_pages(folder: Path, *, now: int) -> list[str]:
    """Empties the folder and returns a warning if its pages are too old to resume; `now` is by Stripe's clock."""
    first = _first(folder)
    if first is None or now - first.date <= MOST_SECONDS:
        return []
    _empty(folder)
    return [f"all pages were read again, because the stored ones are older than 24 hours (from {_minute(first)})"]


def age_of_pages(archive: Archive) -> list[str]:
    """A warning with the age of the stored pages; empty if there are none."""
    first = _first(archive.folder)
    if first is None:
        return []
    pages = archive.spool.ledger.pages
    return [f"resumed from {pages:,} page{'s'[: pages != 1]} of {_minute(first)}, which lack later changes"]


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)


def _first(folder: Path) -> Page | None:
    return next(read_spool(folder / _SPOOL), None)


def _minute(page: Page) -> str:
    return f"{datetime.fromtimestamp(page.date, UTC):%Y-%m-%d %H:%M} UTC"
