"""The first rows of a report, as a dataset would load them. Nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

from counterfoil.columns.flatten import Flattener
from counterfoil.columns.redact import Redact, redacted
from counterfoil.columns.schema import is_json, sql_type
from counterfoil.columns.system import DELETED
from counterfoil.extract import Warnings, read
from counterfoil.reports.report import Listing, Report, Singleton, Union
from counterfoil.runs.pipeline import warnings_of
from counterfoil.runs.plans.pull_plan import Plan
from counterfoil.stripe.client import Client
from counterfoil.values import Page

#: The maximum number of rows in a page.
PAGE_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Rows with the declared columns, `_deleted` and `_extra`; only a run adds the other system columns."""

    report: str
    #: Name and SQL type, in order.
    columns: tuple[tuple[str, str], ...]
    #: Python values, newest row first; JSON columns are decoded.
    rows: tuple[dict[str, Any], ...]
    requests: int
    warnings: tuple[str, ...]


def preview(
    client: Client, plan: Plan, *, redact: Redact | None, digits: Mapping[str, int], rows: int = PAGE_ROWS
) -> Preview:
    """At most `rows` rows of the first page that has any; embedded lists are truncated as Stripe sends them.

    `redact` is applied to Stripe's objects, as in a run.
    """
    flattener = Flattener((*plan.report.columns, DELETED), digits=digits)
    notices, before = Warnings(), sum(client.requests.values())
    pages = read(
        client, _without_rest(plan.report), plan.window, notices=notices, params=plan.params, limit=min(rows, PAGE_ROWS)
    )
    with closing(pages):
        page = next(_with_rows(pages), None)
    if page is not None:
        page = replace(page, objects=page.objects[:rows])
        flattener.add((page if redact is None else redacted(page, redact)).objects)
    batch = flattener.flush()
    return Preview(
        report=plan.report.key,
        columns=tuple((field.name, sql_type(field)) for field in batch.schema),
        rows=tuple(_rows(batch)),
        requests=sum(client.requests.values()) - before,
        warnings=warnings_of(notices, flattener),
    )


def _with_rows(pages: Iterator[Page]) -> Iterator[Page]:
    return (page for page in pages if page.objects)


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    coded = [field.name for field in batch.schema if is_json(field)]
    for row in batch.to_pylist():
        yield row | {name: orjson.loads(row[name]) for name in coded if row[name] is not None}


def _without_rest(report: Report) -> Report:
    """The report without the rest of its embedded lists, which takes a request for each object."""
    source = report.source
    if isinstance(source, Listing | Singleton):
        return replace(report, source=replace(source, lists=()))
    if isinstance(source, Union):
        return replace(
            report, source=Union(listings={kind: replace(one, lists=()) for kind, one in source.listings.items()})
        )
    return report
