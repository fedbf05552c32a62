"""`prove` prints a statement and exits with 1 if a check fails; datasets and runs show the failed check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from counterfoil.app.values import Progress
from stripe_sandbox import Sandbox
from tests.cli.center import Center


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    with Sandbox(scale=0.05) as sandbox:
        opened = Center(tmp_path_factory.mktemp("prove") / "home", sandbox.url)
        opened.add("Movements", "balance_transactions")
        assert opened.do("run", "Movements").code == 0
        yield opened
        opened.close()


@pytest.fixture
def broken(center: Center) -> Iterator[Center]:
    """A balance transaction with a wrong amount, corrected after the test."""
    change = "UPDATE balance_transactions SET net = net {} 1 WHERE id = (SELECT min(id) FROM balance_transactions)"
    with duckdb.connect(center.home / "acme.duckdb") as connection:
        connection.execute(change.format("+"))
    yield center
    with duckdb.connect(center.home / "acme.duckdb") as connection:
        connection.execute(change.format("-"))
    assert center.do("prove", "Movements", "--payouts", "1").code == 0


def test_statement_identifies_table_run_account_and_seed(center: Center) -> None:
    done = center.do("prove", "Movements", "--recount", "all", "--seed", "7", "--payouts", "2")
    (run,) = center.app.runs.list()
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "Statement of completeness: PASS"
    for name, value in (
        ("dataset", "Movements"),
        ("report", "Balance History, everything"),
        ("table", f"balance_transactions of duckdb:///{center.home / 'acme.duckdb'}"),
        ("run", run.id),
        ("Stripe API version", "2026-05-27.dahlia"),
    ):
        assert re.search(rf"^{name} +{re.escape(value)}$", done.out, re.MULTILINE), name
    assert "acct_" in done.out
    assert re.search(r"usd: -?[\d,]+\.\d\d usd in the table, -?[\d,]+\.\d\d usd at Stripe", done.out)
    assert re.search(r"seed: 7$", done.out, re.MULTILINE)
    assert lines[-1].endswith(" PASS")
    assert max(len(line) for line in lines if "duckdb:///" not in line and " " in line.strip()) <= 160


def test_progress_names_each_check_before_it_starts(center: Center) -> None:
    progress: list[Progress] = []
    statement = center.app.proofs.prove("Movements", payouts=1, observe=progress.append)
    assert {each.note for each in progress} >= {
        "coverage: pages",
        "coverage: contents",
        "balance: payments, issuing, refund_and_dispute_prefunding",
        "recount: rows",
    }
    requests = [each.requests for each in progress]
    assert requests == sorted(requests)
    assert (requests[0], requests[-1] > 0) == (0, True)
    assert statement.requests is not None
    assert requests[-1] <= statement.requests


def test_statement_as_json_has_all_figures(center: Center) -> None:
    (statement,) = center.do("prove", "Movements", "--payouts", "2", "--json").json
    assert statement["result"] == "PASS"
    checks = {f"{check['family']}: {check['name']}": check for check in statement["checks"]}
    sums = checks["balance: payments"]["figures"]["currencies"]
    assert sums.keys() == {"eur", "jpy", "kwd", "usd"}
    assert all(each["table"] == each["stripe"] for each in sums.values())
    assert len(checks["payouts: payouts"]["figures"]["payouts"]) == 2
    assert statement["requests"] > 3


def test_failed_check_exits_with_one_and_lists_differences(broken: Center) -> None:
    done = broken.do("prove", "Movements", "--recount", "all", "--payouts", "1")
    assert done.code == 1
    assert done.out.startswith("Statement of completeness: FAIL\n")
    assert re.search(r"FAIL +payments: .* 1 of 4 currencies", done.out)
    assert re.search(r"fault different, id txn_\w+: net -?\d+, expected -?\d+", done.out)


def test_failed_check_is_shown_with_dataset_and_run(broken: Center) -> None:
    broken.do("prove", "Movements", "--payouts", "1")
    (run,) = broken.app.runs.list()
    assert re.search(r"\w+ and \d more checks", broken.do("datasets", "list").out)
    assert re.search(r"FAIL keys: amounts: .*: 1\.$", broken.do("datasets", "show", "Movements").out, re.MULTILINE)
    shown = broken.do("runs", "show", run.id).out
    assert f"FAIL (details: counterfoil prove DATASET --run {run.id})" in shown
    listed = next(one for one in broken.do("datasets", "list", "--json").json if one["name"] == "Movements")
    assert (listed["status"], listed["attention"]["cause"]) == ("attention", "check_failed")
    assert listed["checks"]["result"] == "FAIL"
    assert "balance: payments" in listed["checks"]["failed"]


def test_stored_statement_is_printed_without_api_requests(center: Center) -> None:
    first = center.do("prove", "Movements", "--payouts", "1")
    (run,) = center.app.runs.list()
    stored = center.do("prove", "Movements", "--run", run.id, STRIPE_API_BASE="http://127.0.0.1:1")
    assert stored.code == 0
    assert stored.out == re.sub(r"API requests +\d+\n", "", first.out, count=1)


def test_statement_is_written_to_text_and_html_files(center: Center, tmp_path: Path) -> None:
    text, page = tmp_path / "s.txt", tmp_path / "s.html"
    done = center.do("prove", "Movements", "--payouts", "1", "--text", str(text), "--html", str(page))
    assert text.read_text() == done.out
    html = page.read_text()
    assert "<title>Statement of completeness: Movements</title>" in html
    assert html.count("<section>") == done.out.count("  PASS  ")
    assert "@media print" in html
    assert not re.search(r"(?:src|href)=|@import|url\(", html)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("Movements", "--recount", "some"), 2, "--recount: some"),
        (("Movements", "--recount", "0"), 2, "--recount: 0"),
        (("Movements", "--payouts", "-1"), 2, "--payouts: -1"),
        (("Nothing",), 2, "dataset 'Nothing'"),
        (("Movements", "--run", "nothing"), 2, "run 'nothing'"),
        (("Idle",), 1, "no run of 'Idle'"),
        (("Movements", "--text", "/nowhere/s.txt"), 2, "/nowhere/s.txt"),
    ],
)
def test_invalid_arguments_are_rejected(center: Center, arguments: tuple[str, ...], code: int, expected: str) -> None:
    if "Idle" not in center.app.runs.dataset_names().values():
        center.add("Idle", "charges")
    done = center.do("prove", *arguments)
    assert (done.code, expected in done.err) == (code, True), done.err


def test_check_schedule_is_set_and_shown(center: Center) -> None:
    options = ("--account", "acme", "--report", "coupons", "--to", "duckdb:///acme.duckdb")
    created = center.do("datasets", "create", "Held", *options, "--deep-checks", "weekly on sun at 03:00", "--hold")
    assert created.code == 0, created.err
    shown = center.do("datasets", "show", "Held").out
    assert re.search(r"check schedule .* weekly on Sunday at 03:00 in UTC; .* prevents the load", shown)
    assert center.do("datasets", "edit", "Held", "--deep-checks", "", "--no-hold", "--checks", "none").code == 0
    assert re.search(r"check schedule +none", center.do("datasets", "show", "Held").out)
    rejected = center.do("datasets", "edit", "Held", "--hold")
    assert (rejected.code, "hold and deep checks" in rejected.err) == (2, True)
    assert center.do("datasets", "remove", "Held", "--yes").code == 0
