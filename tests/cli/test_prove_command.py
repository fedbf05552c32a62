"""`prove` prints a statement that can be kept, and ends with 1 when a check fails; lists and runs tell of it."""

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
        made = Center(tmp_path_factory.mktemp("prove") / "home", sandbox.url)
        made.add("Movements", "balance_transactions")
        assert made.do("run", "Movements").code == 0
        yield made
        made.close()


@pytest.fixture
def broken(center: Center) -> Iterator[Center]:
    """A movement is off by one, until the test is over."""
    change = "UPDATE balance_transactions SET net = net {} 1 WHERE id = (SELECT min(id) FROM balance_transactions)"
    with duckdb.connect(center.home / "acme.duckdb") as connection:
        connection.execute(change.format("+"))
    yield center
    with duckdb.connect(center.home / "acme.duckdb") as connection:
        connection.execute(change.format("-"))
    assert center.do("prove", "Movements", "--payouts", "1").code == 0


def test_the_statement_tells_what_was_compared_and_when(center: Center) -> None:
    done = center.do("prove", "Movements", "--recount", "all", "--seed", "7", "--payouts", "2")
    (run,) = center.app.runs.list()
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "Statement of proof: PASS"
    for name, told in (
        ("dataset", "Movements"),
        ("report", "Balance History, everything"),
        ("table", f"balance_transactions of duckdb:///{center.home / 'acme.duckdb'}"),
        ("run", run.id),
        ("Stripe's API", "2026-05-27.dahlia"),
    ):
        assert re.search(rf"^{name} +{re.escape(told)}$", done.out, re.MULTILINE), name
    assert "acct_" in done.out
    assert re.search(r"usd: -?[\d,]+\.\d\d usd in the table, -?[\d,]+\.\d\d usd at Stripe", done.out)
    assert re.search(r"seed: 7$", done.out, re.MULTILINE)
    assert lines[-1].endswith(" PASS")
    assert max(len(line) for line in lines if "duckdb:///" not in line and " " in line.strip()) <= 160


def test_each_check_is_told_before_it_is_made(center: Center) -> None:
    told: list[Progress] = []
    statement = center.app.proofs.prove("Movements", payouts=1, observe=told.append)
    assert {each.note for each in told} >= {
        "coverage: pages",
        "coverage: contents",
        "balance: payments, issuing, refund_and_dispute_prefunding",
        "recount: rows",
    }
    requests = [each.requests for each in told]
    assert requests == sorted(requests)
    assert (requests[0], requests[-1] > 0) == (0, True)
    assert statement.requests is not None
    assert requests[-1] <= statement.requests


def test_json_has_every_figure(center: Center) -> None:
    (told,) = center.do("prove", "Movements", "--payouts", "2", "--json").json
    assert told["result"] == "PASS"
    checks = {f"{check['family']}: {check['name']}": check for check in told["checks"]}
    sums = checks["balance: payments"]["figures"]["currencies"]
    assert sums.keys() == {"eur", "jpy", "kwd", "usd"}
    assert all(each["table"] == each["stripe"] for each in sums.values())
    assert len(checks["payouts: payouts"]["figures"]["payouts"]) == 2
    assert told["requests"] > 3


def test_a_fail_ends_with_one_and_lists_the_differences(broken: Center) -> None:
    done = broken.do("prove", "Movements", "--recount", "all", "--payouts", "1")
    assert done.code == 1
    assert done.out.startswith("Statement of proof: FAIL\n")
    assert re.search(r"FAIL +payments: The movements do not add up to what Stripe holds, in 1 of 4 curr", done.out)
    assert re.search(r"fault different, id txn_\w+: net -?\d+, expected -?\d+", done.out)


def test_a_fail_is_told_where_datasets_and_runs_are(broken: Center) -> None:
    broken.do("prove", "Movements", "--payouts", "1")
    (run,) = broken.app.runs.list()
    assert re.search(r"\d checks failed: \w+ and \d more\. ", broken.do("datasets", "list").out)
    assert (
        "FAIL keys: amounts: Amounts in major units that are not what they are in minor units: 1."
        in broken.do("datasets", "show", "Movements").out
    )
    shown = broken.do("runs", "show", run.id).out
    assert f"FAIL: counterfoil prove DATASET --run {run.id} tells all of it" in shown
    listed = next(one for one in broken.do("datasets", "list", "--json").json if one["name"] == "Movements")
    assert listed["checks"]["result"] == "FAIL"
    assert "balance: payments" in listed["checks"]["failed"]


def test_a_past_statement_is_printed_again_and_nothing_is_asked(center: Center) -> None:
    first = center.do("prove", "Movements", "--payouts", "1")
    (run,) = center.app.runs.list()
    again = center.do("prove", "Movements", "--run", run.id, STRIPE_API_BASE="http://127.0.0.1:1")
    assert again.code == 0
    assert again.out == re.sub(r"requests +\d+\n", "", first.out, count=1)


def test_files_hold_the_statement(center: Center, tmp_path: Path) -> None:
    text, page = tmp_path / "s.txt", tmp_path / "s.html"
    done = center.do("prove", "Movements", "--payouts", "1", "--text", str(text), "--html", str(page))
    assert text.read_text() == done.out
    html = page.read_text()
    assert "<title>Statement of proof: Movements</title>" in html
    assert html.count("<section>") == done.out.count("  PASS  ")
    assert "@media print" in html
    assert not re.search(r"(?:src|href)=|@import|url\(", html)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("Movements", "--recount", "some"), 2, "--recount some is not a number of windows"),
        (("Movements", "--recount", "0"), 2, "--recount 0 is not a number of windows"),
        (("Movements", "--payouts", "-1"), 2, "--payouts -1 is not a number of payouts"),
        (("Nothing",), 2, "There is no dataset 'Nothing'"),
        (("Movements", "--run", "nothing"), 2, "There is no run 'nothing'"),
        (("Idle",), 1, "There is nothing to prove: no run of 'Idle' has succeeded"),
        (("Movements", "--text", "/nowhere/s.txt"), 2, "/nowhere/s.txt can't be written"),
    ],
)
def test_what_cannot_be_is_refused(center: Center, words: tuple[str, ...], code: int, told: str) -> None:
    if "Idle" not in center.app.runs.dataset_names().values():
        center.add("Idle", "charges")
    done = center.do("prove", *words)
    assert (done.code, told in done.err) == (code, True), done.err


def test_the_policy_is_chosen_and_shown(center: Center) -> None:
    words = ("--account", "acme", "--report", "coupons", "--to", "duckdb:///acme.duckdb")
    made = center.do("datasets", "create", "Held", *words, "--deep-checks", "weekly on sun at 03:00", "--hold")
    assert made.code == 0, made.err
    shown = center.do("datasets", "show", "Held").out
    assert re.search(r"proof +after each run; the deeper ones weekly on Sunday at 03:00 in UTC; a FAIL before", shown)
    assert center.do("datasets", "edit", "Held", "--deep-checks", "", "--no-hold", "--checks", "none").code == 0
    assert re.search(r"proof +no checks", center.do("datasets", "show", "Held").out)
    refused = center.do("datasets", "edit", "Held", "--hold")
    assert (refused.code, "Without checks nothing is held back" in refused.err) == (2, True)
    assert center.do("datasets", "remove", "Held", "--yes").code == 0
