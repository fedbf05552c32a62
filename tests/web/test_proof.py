"""The page Proof: checks with figures, the statement as a file, and the status in the Data Center."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from counterfoil.app.app import App
from counterfoil.app.values import Progress
from counterfoil.errors import CounterfoilError, TransientError
from counterfoil.proof.check import Check, failed, inconclusive, not_applicable, passed
from counterfoil.state.dataset import Dataset
from counterfoil.state.run import Counts
from tests.web.browser import Browser
from tests.web.conftest import Site, StandingClock
from tests.web.tabled import dataset, fill, ran

BALANCE = {"before": 1_700_000_000, "currencies": {"usd": {"table": 105_000, "stripe": 104_999}}}


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


def proved(app: App, clock: StandingClock, *checks: Check) -> Dataset:
    """A dataset with checks of its last run."""
    made = dataset(app)
    fill(app, made)
    run = ran(app, made, clock, Counts(read=1000, added=1000))
    app.records.datasets.set_bookmark(made.id, {"run": run.id, "as_of": 1_700_000_000})
    app.records.checks.keep(run.id, made.targets[0].url, made.targets[0].table, checks)
    return app.datasets.get(made.id)


PASS = passed("coverage", "pages", "Every page is stored.", {"pages": 12})
FAIL = failed("balance", "payments", "They differ.", BALANCE, [{"currency": "usd", "difference_minor": 1}])
INCONCLUSIVE = inconclusive("references", "customer in customers", "Stripe was unreachable.")


def test_dataset_without_checks_offers_verification(app: App, owner: Browser, clock: StandingClock) -> None:
    made = proved(app, clock)
    text = owner.get(f"/datasets/{made.id}/proof").text
    assert "Not verified yet" in text
    assert f'action="/datasets/{made.id}/proof"' in text


def test_checks_show_result_reason_figures_and_differences(app: App, owner: Browser, clock: StandingClock) -> None:
    made = proved(app, clock, PASS, FAIL, not_applicable("payouts", "payouts", "There is none."))
    text = owner.get(f"/datasets/{made.id}/proof").text
    for shown in ("Every page is stored.", "They differ.", "1,050.00 usd in the table, 1,049.99 usd at Stripe"):
        assert shown in text
    assert "currency usd, difference 0.01 usd" in text
    assert re.findall(r'class="badge tone-(\w+)"[^>]*>(Pass|Fail|Not applicable)<', text) == [
        ("ok", "Pass"),
        ("error", "Fail"),
        ("mute", "Not applicable"),
    ]


def test_chart_compares_the_balance_with_stripe(app: App, owner: Browser, clock: StandingClock) -> None:
    made = proved(app, clock, FAIL)
    text = owner.get(f"/datasets/{made.id}/proof").text
    chart = re.search(r"<title>The balance in usd.*?</title><desc>(.*?)</desc>(.*?)</svg>", text, re.DOTALL)
    assert chart is not None
    assert re.findall(r">([\d,.k]+)</text>", chart[2]) == ["0", "500", "1k", "1.5k"], "in dollars"
    assert chart[1] == "In the table: 1,050.00 usd; At Stripe: 1,049.99 usd"


@pytest.mark.parametrize(
    ("checks", "status"),
    [((PASS,), "Verified"), ((PASS, INCONCLUSIVE), "Partly verified"), ((PASS, FAIL), "Needs attention")],
)
def test_data_center_shows_results_of_checks(
    app: App, owner: Browser, clock: StandingClock, checks: tuple[Check, ...], status: str
) -> None:
    proved(app, clock, *checks)
    text = owner.get("/").text
    assert re.search(rf'data-name="Status"><span class="status [^"]*">.*?<span>{status}</span>', text, re.DOTALL)
    assert (">Check failed: payments: " in text) == (status == "Needs attention")


def test_data_center_shows_rows_counted_by_checks(app: App, owner: Browser, clock: StandingClock) -> None:
    proved(app, clock, passed("coverage", "table", "The table is complete.", {"rows": 4321}))
    assert re.search(r'data-name="Rows"><span>4,321</span>', owner.get("/").text)


def test_every_page_of_the_dataset_shows_the_result(app: App, owner: Browser, clock: StandingClock) -> None:
    made = proved(app, clock, PASS, INCONCLUSIVE)
    for page in ("", "/schema", "/history"):
        assert "Partly verified" in owner.get(f"/datasets/{made.id}{page}").text


@pytest.mark.parametrize(
    ("form", "begins"),
    [("txt", "Statement of completeness: FAIL\n"), ("html", "<!doctype html>"), ("json", '{\n  "result": "FAIL"')],
)
def test_statement_is_a_file(app: App, owner: Browser, clock: StandingClock, form: str, begins: str) -> None:
    made = proved(app, clock, FAIL)
    answer = owner.get(f"/datasets/{made.id}/proof.{form}")
    assert answer.text.startswith(begins)
    assert re.fullmatch(rf'attachment; filename="charges-[\w-]+\.{form}"', answer["content-disposition"])


def test_dataset_without_successful_run_cannot_be_verified(app: App, owner: Browser) -> None:
    made = dataset(app)
    answer = owner.post(f"/datasets/{made.id}/proof", {})
    assert answer.status == 409
    assert "Nothing to verify" in answer.text
    assert "&#39;Charges&#39;" in answer.text


def test_texts_of_checks_are_escaped(app: App, owner: Browser, clock: StandingClock) -> None:
    hostile = failed("recount", "rows", "<b>bold</b>", {"x": "<i>"}, [{"id": "<script>alert(1)</script>"}])
    made = proved(app, clock, hostile)
    for form in ("", ".html"):
        text = owner.get(f"/datasets/{made.id}/proof{form}").text
        assert "<script>alert" not in text
        assert "<b>bold" not in text


@dataclass
class Slow:
    """Replaces a proof: it reports its progress, then waits until the test lets it end."""

    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    error: CounterfoilError | None = None
    calls: int = 0
    ended_by: str = ""

    def __call__(self, _dataset: str, *, observe: Callable[[Progress], None], check: Callable[[], None]) -> None:
        self.calls += 1
        observe(Progress("Charges", "proving", requests=41, note="recount: rows"))
        self.begun.set()
        while not self.may_end.wait(0.01):
            try:
                check()
            except Exception as error:
                self.ended_by = type(error).__name__
                raise
        if self.error is not None:
            raise self.error


@pytest.fixture
def slow(app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setattr(app.proofs, "prove", slow)
    yield slow
    slow.may_end.set()


def begun(owner: Browser, made: Dataset, slow: Slow) -> str:
    answer = owner.post(f"/datasets/{made.id}/proof", {})
    assert (answer.status, answer["location"]) == (303, f"/datasets/{made.id}/proof")
    assert slow.begun.wait(30)
    return owner.get(f"/datasets/{made.id}/proof").text


def test_running_proof_is_shown_and_not_started_twice(
    app: App, owner: Browser, clock: StandingClock, slow: Slow
) -> None:
    made = proved(app, clock, PASS)
    text = begun(owner, made, slow)
    assert "<dd>recount: rows</dd>" in text
    assert "<dd>41</dd>" in text
    assert f'action="/datasets/{made.id}/proof"' not in text
    begun(owner, made, slow)
    slow.may_end.set()
    assert "event: end" in owner.get(f"/datasets/{made.id}/proof/live").text
    assert f'action="/datasets/{made.id}/proof"' in owner.get(f"/datasets/{made.id}/proof").text
    assert slow.calls == 1


def test_error_of_a_proof_is_shown_once(app: App, owner: Browser, clock: StandingClock, slow: Slow) -> None:
    made = proved(app, clock, PASS)
    slow.error = TransientError("Stripe is unreachable")
    begun(owner, made, slow)
    slow.may_end.set()
    owner.get(f"/datasets/{made.id}/proof/live")
    assert "Stripe is unreachable" in owner.get(f"/datasets/{made.id}/proof").text
    assert "Stripe is unreachable" not in owner.get(f"/datasets/{made.id}/proof").text


def test_proof_ends_with_the_service(app: App, site: Site, owner: Browser, clock: StandingClock, slow: Slow) -> None:
    begun(owner, proved(app, clock, PASS), slow)
    page: Any = site.page
    page.state.closing.set()
    for thread in threading.enumerate():
        if thread.name.startswith("prove "):
            thread.join(30)
    assert slow.ended_by == "_PageCloses"
