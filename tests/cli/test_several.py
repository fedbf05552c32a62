"""Commands for datasets with several destinations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from stripe_sandbox import Sandbox
from tests.cli.center import Center


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.05) as serving:
        yield serving


@pytest.fixture
def center(sandbox: Sandbox, tmp_path: Path) -> Iterator[Center]:
    opened = Center(tmp_path / "home", sandbox.url)
    (opened.home / "far").mkdir()
    yield opened
    opened.close()


FAR = "duckdb:///far/acme.duckdb"


def _rows(center: Center, file: str, table: str = "refunds") -> int:
    with duckdb.connect(str(center.home / file), read_only=True) as connection:
        ((rows,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(rows)


def test_table_that_is_behind_is_reported_and_filled_from_archive(center: Center, sandbox: Sandbox) -> None:
    created = center.do(
        "datasets", "create", "Refunds", "--account", "acme", "--report", "refunds",
        "--to", "duckdb:///acme.duckdb", "--to", FAR, "--json",
    )  # fmt: skip
    assert created.code == 0, created.err
    assert [target["url"] for target in created.json[0]["targets"]] == ["duckdb:///acme.duckdb", FAR]
    (center.home / "far").rename(center.home / "away")
    ran = center.do("run", "Refunds")
    assert ran.code == 0
    assert f"refunds of {FAR} is not up to date" in ran.err
    shown = center.do("datasets", "show", "Refunds", "--json").json[0]
    assert shown["behind"] == [{"url": FAR, "table": "refunds"}]
    assert f"refunds of {FAR}" in center.do("datasets", "show", "Refunds").out.split("\nbehind")[1]
    (center.home / "away").rename(center.home / "far")
    sandbox.ask("requests?reset=true")
    filled = center.do("datasets", "reload", "Refunds", "--to", FAR)
    assert (filled.code, sandbox.ask("requests")["endpoints"]) == (0, {})
    assert _rows(center, "far/acme.duckdb") == _rows(center, "acme.duckdb") > 0
    assert center.do("datasets", "show", "Refunds", "--json").json[0]["behind"] == []
    assert center.do("prove", "Refunds", "--recount", "all").code == 0


def test_new_destination_is_filled_and_added_to_dataset(center: Center, sandbox: Sandbox) -> None:
    center.add("Refunds", "refunds", method="merge")
    early = center.do("datasets", "reload", "Refunds", "--to", FAR)
    assert early.code == 1
    assert "no run has succeeded" in early.err
    assert "counterfoil run Refunds" in early.err
    assert len(center.app.datasets.get("Refunds").targets) == 1, "the dataset was changed"
    for _ in range(2):  # a full refresh, then an incremental run
        assert center.do("run", "Refunds").code == 0
    sandbox.ask("requests?reset=true")
    filled = center.do("datasets", "reload", "Refunds", "--to", FAR, "--json")
    assert (filled.code, filled.json[0]["status"]) == (0, "succeeded")
    assert sandbox.ask("requests")["endpoints"] == {}
    assert _rows(center, "far/acme.duckdb") == _rows(center, "acme.duckdb")
    assert [target.url for target in center.app.datasets.get("Refunds").targets] == ["duckdb:///acme.duckdb", FAR]
    assert center.do("prove", "Refunds").code == 0, "the rows of the backfill are not those of the runs"
    assert center.do("run", "Refunds").code == 0
    newest, *_ = center.app.runs.list("Refunds")
    assert not newest.plan["whole"], "the new table is current and needs no full refresh"


def test_invalid_destination_leaves_dataset_unchanged(center: Center) -> None:
    center.add("Refunds", "refunds", method="merge")
    assert center.do("run", "Refunds").code == 0
    invalid = {
        "duckdb:///nowhere/x.duckdb": "mkdir -p",
        "parquet:///lake": "append or partition",
        "duckdb:///../home/acme.duckdb": "is listed twice",
        "dukdb:///x": "Did you mean duckdb",
    }
    for to, expected in invalid.items():
        done = center.do("datasets", "reload", "Refunds", "--to", to)
        assert done.code == 2
        assert expected in done.err
    assert len(center.app.datasets.get("Refunds").targets) == 1


def test_method_that_one_destination_lacks_is_rejected(center: Center) -> None:
    arguments = ("datasets", "create", "R", "--account", "acme", "--report", "refunds")
    to = ("--to", "duckdb:///acme.duckdb", "--to", "parquet:///lake")
    assert "append or partition" in center.do(*arguments, *to, "--method", "merge").err
    created = center.do(*arguments, *to, "--json")
    assert created.json[0]["method"] == "replace"
    assert center.do("run", "R").code == 0
    exported = center.app.config.export()
    assert 'to = [\n    "duckdb:///acme.duckdb",\n    "parquet:///lake",\n]' in exported
    assert {one.action for one in center.app.config.apply(exported).changes} == {"none"}
    one = exported.replace('[\n    "duckdb:///acme.duckdb",\n    "parquet:///lake",\n]', '"duckdb:///acme.duckdb"')
    bookmark = center.app.datasets.get("R").bookmark
    center.app.config.apply(one)
    assert [target.url for target in center.app.datasets.get("R").targets] == ["duckdb:///acme.duckdb"]
    assert center.app.datasets.get("R").bookmark == bookmark, "the remaining table lost its sync state"
