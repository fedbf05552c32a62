"""How old the pages are that an interrupted pull left, and whether it may go on behind them."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from counterfoil.archive import Archive, read_spool
from counterfoil.values import Page

#: Pages that were read longer ago are read again: too much will have changed behind them.
MOST_SECONDS = 24 * 3600


def drop_old_pages(folder: Path, *, now: int) -> list[str]:
    """Empties the folder of pages that are too old to go on behind them, and says so; `now` by Stripe's clock."""
    first = _first(folder)
    if first is None or now - first.date <= MOST_SECONDS:
        return []
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    return [f"the pages read on {_minute(first)} are older than a day: everything was read anew"]


def age_of_pages(archive: Archive) -> list[str]:
    """What the pages that are there already can't know; nothing when there are none."""
    first = _first(archive.folder)
    if first is None:
        return []
    pages = archive.spool.ledger.pages
    return [f"{pages:,} page{'s'[: pages != 1]} read on {_minute(first)}; what changed later is not in them"]


def _first(folder: Path) -> Page | None:
    return next(read_spool(folder / "pages.spool"), None)


def _minute(page: Page) -> str:
    return f"{datetime.fromtimestamp(page.date, UTC):%Y-%m-%d %H:%M} UTC"
