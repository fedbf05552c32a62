"""Reads all objects of a report, by the shape of its source."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from counterfoil.extract.collected import read_collected
from counterfoil.extract.listing import read_listing
from counterfoil.extract.preview import read_preview
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.singleton import read_singleton
from counterfoil.extract.union import read_union
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Union
from counterfoil.stripe.client import Client
from counterfoil.values import Page, Window


async def read_source(
    client: Client,
    report: Report,
    window: Window,
    *,
    notices: Warnings,
    params: Mapping[str, str] | None,
    limit: int | None,
    earlier: ResumeState,
) -> AsyncGenerator[Page, None]:
    """The pages of the report's source."""
    source = report.source
    match source:
        case Listing():
            left = None if limit is None else limit - earlier.rows
            resumed = earlier.resumed(source.path)
            pages = read_listing(client, source, window, notices=notices, params=params, limit=left, resumed=resumed)
        case Singleton():
            pages = read_singleton(client, source, notices=notices, earlier=earlier)
        case Union():
            pages = read_union(client, source, window, notices=notices, params=params, limit=limit, earlier=earlier)
        case Collected():
            pages = read_collected(client, source, notices=notices, earlier=earlier)
        case Preview():
            pages = read_preview(client, source, notices=notices, earlier=earlier)
    async with aclosing(pages):
        async for page in pages:
            yield page
