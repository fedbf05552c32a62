"""Faults planted between Stripe and the table: each is found by its named check, and docs/proof.md says by which."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stripe_sandbox import Sandbox

from .conftest import SCALE, Center, both, checked, failures, proved
from .planted import FAULTS, FILE, TOLD_WRONGLY, Fault, ToldWrongly, sql

DOCUMENT = Path(__file__).parents[2] / "docs" / "proof.md"
#: In an order in which what is referred to is read later.
REPORTS = ("refunds", "transfers", "charges", "customers", "balance_transactions")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """Everything as it should be."""
    with Sandbox(scale=SCALE) as stripe:
        center = Center(tmp_path_factory.mktemp("faults") / "home", stripe)
        for report in REPORTS:
            run = center.run(center.dataset(report, method="replace"))
            assert run.status == "succeeded", run.error
            center.later(minutes=30)
        yield center
        center.state.close()


@pytest.fixture
def broken(whole: Center, tmp_path: Path) -> Iterator[Center]:
    """The same, to be broken: tables and archives are put back at the end."""
    home, kept = whole.settings.home, tmp_path / "kept"
    kept.mkdir()
    shutil.copy(home / FILE, kept)
    shutil.copytree(home / "archive" / "runs", kept / "runs")
    yield whole
    shutil.copy(kept / FILE, home)
    shutil.rmtree(home / "archive" / "runs")
    shutil.copytree(kept / "runs", home / "archive" / "runs")


def planted(center: Center, fault: Fault) -> None:
    if isinstance(fault.plant, str):
        sql(center, fault.plant)
        return
    bookmark = center.datasets.get(fault.dataset).bookmark
    assert bookmark is not None
    fault.plant(center.settings.home / "archive" / "runs" / str(bookmark["run"]))


def found_in(center: Center, fault: Fault | ToldWrongly) -> None:
    """By its check, and by those that the document names, which are all that fail."""
    cheap, deep = map(failures, both(center, fault.dataset))
    assert fault.found_by in deep
    line = f"| {fault.name} | `{fault.dataset}` | {', '.join(deep)} | {', '.join(cheap) or 'none'} |"
    told = [row for row in DOCUMENT.read_text().splitlines() if row.startswith(f"| {fault.name} |")]
    if os.environ.get("COUNTERFOIL_SNAPSHOTS") == "write":
        DOCUMENT.write_text(DOCUMENT.read_text().replace(told[0], line))
    else:
        assert told == [line]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_planted_fault_is_found_by_its_check(broken: Center, fault: Fault) -> None:
    planted(broken, fault)
    found_in(broken, fault)


@pytest.mark.parametrize("fault", TOLD_WRONGLY, ids=[fault.name for fault in TOLD_WRONGLY])
def test_what_was_told_wrongly_is_found_by_its_check(tmp_path: Path, fault: ToldWrongly) -> None:
    with Sandbox(scale=SCALE) as stripe:
        center = Center(tmp_path / "home", stripe)
        center.dataset(fault.dataset, method=fault.method)
        fault.happens(center)
        center.healed()
        center.later(hours=1)
        found_in(center, fault)
        center.state.close()


def test_the_document_tells_of_every_fault_and_of_no_other() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| `[a-z_]+` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(fault.name for fault in (*FAULTS, *TOLD_WRONGLY))
    assert len(rows) >= 20


@pytest.mark.parametrize("report", REPORTS)
def test_where_nothing_is_wrong_nothing_is_found(whole: Center, report: str) -> None:
    for found in (checked(whole, report), proved(whole, report)):
        assert {check.result for check in found.values()} <= {"PASS", "NOT APPLICABLE"}
