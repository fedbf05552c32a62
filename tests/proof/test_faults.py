"""Each fault planted between Stripe and the table is found by the checks that docs/proof.md lists."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stripe_sandbox import Sandbox

from .conftest import SCALE, Center, both, cheap, failures, thorough
from .planted import FAULTS, FILE, READ_FAULTS, Fault, ReadFault, sql

DOCUMENT = Path(__file__).parents[2] / "docs" / "proof.md"
#: Each report comes before the reports that it references.
REPORTS = ("refunds", "transfers", "charges", "customers", "balance_transactions")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    """Correct tables and archives."""
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
    """The same tables and archives for a test that damages them; restored at the end."""
    home, backup = whole.settings.home, tmp_path / "backup"
    backup.mkdir()
    shutil.copy(home / FILE, backup)
    shutil.copytree(home / "archive" / "runs", backup / "runs")
    yield whole
    shutil.copy(backup / FILE, home)
    shutil.rmtree(home / "archive" / "runs")
    shutil.copytree(backup / "runs", home / "archive" / "runs")


def plant(center: Center, fault: Fault) -> None:
    if isinstance(fault.plant, str):
        sql(center, fault.plant)
        return
    bookmark = center.datasets.get(fault.dataset).bookmark
    assert bookmark is not None
    fault.plant(center.settings.home / "archive" / "runs" / str(bookmark["run"]))


def assert_found(center: Center, fault: Fault | ReadFault) -> None:
    """Asserts that the fault is found by its check, and that exactly the documented checks fail."""
    failed_cheap, failed = map(failures, both(center, fault.dataset))
    assert fault.found_by in failed
    line = f"| {fault.name} | `{fault.dataset}` | {', '.join(failed)} | {', '.join(failed_cheap) or 'none'} |"
    rows = [row for row in DOCUMENT.read_text().splitlines() if row.startswith(f"| {fault.name} |")]
    if os.environ.get("COUNTERFOIL_SNAPSHOTS") == "write":
        DOCUMENT.write_text(DOCUMENT.read_text().replace(rows[0], line))
    else:
        assert rows == [line]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_planted_fault_is_found_by_its_check(broken: Center, fault: Fault) -> None:
    plant(broken, fault)
    assert_found(broken, fault)


@pytest.mark.parametrize("fault", READ_FAULTS, ids=[fault.name for fault in READ_FAULTS])
def test_read_fault_is_found_by_its_check(tmp_path: Path, fault: ReadFault) -> None:
    with Sandbox(scale=SCALE) as stripe:
        center = Center(tmp_path / "home", stripe)
        center.dataset(fault.dataset, method=fault.method)
        fault.plant(center)
        center.healed()
        center.later(hours=1)
        assert_found(center, fault)
        center.state.close()


def test_all_faults_are_documented() -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| `[a-z_]+` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(fault.name for fault in (*FAULTS, *READ_FAULTS))
    assert len(rows) >= 20


@pytest.mark.parametrize("report", REPORTS)
def test_correct_tables_pass_all_checks(whole: Center, report: str) -> None:
    for found in (cheap(whole, report), thorough(whole, report)):
        assert {check.result for check in found.values()} <= {"PASS", "NOT APPLICABLE"}
