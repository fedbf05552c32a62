"""Datasets in Postgres: merge with history, deep checks, rollback, browsing and queries."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from counterfoil.app.tables import Filter, TableService, View
from counterfoil.proof.check import NOT_POSSIBLE
from counterfoil.state.check import Check
from counterfoil.state.datasets import Merge, Proof, Target
from tests.postgres import Server
from tests.runs.test_reverting import back

from .conftest import Center, thorough

_REPORTS = ("charges", "balance_transactions")


def _wrong(checks: Iterable[Check]) -> list[str]:
    """The reasons of checks that failed or were not possible. Other inconclusive checks after a run are acceptable."""
    return [one.reason for one in checks if one.result == "FAIL" or one.reason.startswith(NOT_POSSIBLE)]


def test_postgres_tables_are_merged_verified_and_rolled_back(center: Center, postgres: Server) -> None:
    url = postgres.url()
    first = []
    for report in _REPORTS:
        targets = (Target(url=url, table=report),)
        made = center.dataset(report, method="merge", merge=Merge(history=True), targets=targets, proof=Proof())
        first.append(center.run(made))
    tables = TableService(center.records)
    before = {report: tables.count(report) for report in _REPORTS}
    center.stripe.control("life", per_day=200)
    center.later(days=1)
    for report in _REPORTS:
        run = center.run(report)
        assert run.status == "succeeded", run.error
        assert _wrong(center.checks.of_run(run.id)) == []
    assert tables.count("charges") > before["charges"]
    found = thorough(center, "balance_transactions")
    assert _wrong(found.values()) == []
    assert found["coverage", "contents"].result == found["recount", "rows"].result == "PASS"
    assert any(family == "references" for family, _ in found)

    assert back(center, first[0]).status == "succeeded"
    assert tables.count("charges") == before["charges"]
    shown = tables.page("charges", View(filters=(Filter(column="status", test="is", value="succeeded"),)), limit=9)
    assert len(shown.rows) == 9 < shown.total
    assert tables.profile("charges", "metadata").rows == before["charges"]
    exported = tables.export("charges").read_all()
    assert exported.num_rows == before["charges"]
    assert exported.schema.field("amount_major").type == pa.decimal128(22, 3)
    as_of = tables.ask("SELECT count(*), sum(amount_major) FROM charges__as_of(now())")
    assert as_of.rows[0][0] == before["charges"]
