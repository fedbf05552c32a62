"""Whether reading can resume from the pages that an interrupted one left: they fit together and are not too old."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from counterfoil.archive import Archive, read_spool
from counterfoil.errors import RunError
from counterfoil.extract.spool_check import contradiction
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.values import Page

#: Pages that were read longer ago are read again: too much will have changed behind them.
MOST_SECONDS = 24 * 3600
_SPOOL = "pages.spool"


def drop_contradictory_pages(folder: Path, plan: Plan) -> list[str]:
    """Empties the folder of pages that contradict one another or are not of this plan, and says so."""
    pages = read_spool(folder / _SPOOL)
    try:
        found = contradiction(pages, plan.report, plan.window, limit=plan.limit)
    except RunError as error:
        found = error.message
    if found is None:
        return []
    _empty(folder)
    return [f"the pages that an interrupted run left contradict one another ({found}): everything was read anew"]


def drop_old_pages(folder: Path, *, now: int) -> list[str]:
    """Empties the folder of pages that are too old to go on behind them, and says so; `now` by Stripe's clock."""
    first = _first(folder)
    if first is None or now - first.date <= MOST_SECONDS:
        return []
    _empty(folder)
    return [f"the pages read on {_minute(first)} are older than a day: everything was read anew"]


def age_of_pages(archive: Archive) -> list[str]:
    """What the pages that are there already can't know; nothing when there are none."""
    first = _first(archive.folder)
    if first is None:
        return []
    pages = archive.spool.ledger.pages
    return [f"{pages:,} page{'s'[: pages != 1]} read on {_minute(first)}; what changed later is not in them"]


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)


def _first(folder: Path) -> Page | None:
    return next(read_spool(folder / _SPOOL), None)


def _minute(page: Page) -> str:
    return f"{datetime.fromtimestamp(page.date, UTC):%Y-%m-%d %H:%M} UTC"
