"""A dataset's proof: checks with their figures, the statement as a file, and the badge where datasets are listed."""

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
    """A dataset whose last run was checked."""
    made = dataset(app)
    fill(app, made)
    run = ran(app, made, clock, Counts(read=1000, added=1000))
    app.records.datasets.set_bookmark(made.id, {"run": run.id, "as_of": 1_700_000_000})
    app.records.checks.keep(run.id, made.targets[0].url, made.targets[0].table, checks)
    return app.datasets.get(made.id)


WELL = passed("coverage", "pages", "Every page is kept.", {"pages": 12})
ILL = failed("balance", "payments", "They differ.", BALANCE, [{"currency": "usd", "difference_minor": 1}])
UNTOLD = inconclusive("references", "customer in customers", "Nobody was asked.")


def test_a_dataset_without_checks_offers_to_make_them(app: App, owner: Browser, clock: StandingClock) -> None:
    made = proved(app, clock)
    text = owner.get(f"/datasets/{made.id}/proof").text
    assert "Not proved yet" in text
    assert f'action="/datasets/{made.id}/proof"' in text


def test_checks_are_told_with_result_reason_figures_and_differences(
    app: App, owner: Browser, clock: StandingClock
) -> None:
    made = proved(app, clock, WELL, ILL, not_applicable("payouts", "payouts", "There is none."))
    text = owner.get(f"/datasets/{made.id}/proof").text
    for told in ("Every page is kept.", "They differ.", "1,050.00 usd in the table, 1,049.99 usd at Stripe"):
        assert told in text
    assert "currency usd, difference 0.01 usd" in text
    assert re.findall(r'class="badge tone-(\w+)"[^>]*>(Pass|Fail|Not applicable)<', text) == [
        ("ok", "Pass"),
        ("error", "Fail"),
        ("mute", "Not applicable"),
    ]


def test_a_chart_shows_each_balance_as_computed_and_as_stripe_says(
    app: App, owner: Browser, clock: StandingClock
) -> None:
    made = proved(app, clock, ILL)
    text = owner.get(f"/datasets/{made.id}/proof").text
    chart = re.search(r"<title>The balance in usd .*?</title><desc>(.*?)</desc>(.*?)</svg>", text, re.DOTALL)
    assert chart is not None
    assert re.findall(r">([\d,.k]+)</text>", chart[2]) == ["0", "500", "1k", "1.5k"], "in dollars"
    assert chart[1] == "In the table: 1,050.00 usd; At Stripe: 1,049.99 usd"


@pytest.mark.parametrize(
    ("checks", "status"),
    [((WELL,), "Verified"), ((WELL, UNTOLD), "Partly verified"), ((WELL, ILL), "Needs attention")],
)
def test_the_data_center_shows_what_is_proved_and_what_failed(
    app: App, owner: Browser, clock: StandingClock, checks: tuple[Check, ...], status: str
) -> None:
    proved(app, clock, *checks)
    text = owner.get("/").text
    assert re.search(rf'data-name="Status"><span class="status [^"]*">.*?<span>{status}</span>', text, re.DOTALL)
    assert ("A check failed: payments. They differ." in text) == (status == "Needs attention")


def test_the_data_center_shows_the_rows_that_the_checks_counted(app: App, owner: Browser, clock: StandingClock) -> None:
    proved(app, clock, passed("coverage", "table", "It is as it should be.", {"rows": 4321}))
    assert re.search(r'data-name="Rows"><span>4,321</span>', owner.get("/").text)


def test_each_of_its_pages_says_how_it_is_proved(app: App, owner: Browser, clock: StandingClock) -> None:
    made = proved(app, clock, WELL, UNTOLD)
    for page in ("", "/schema", "/history"):
        assert "Partly verified" in owner.get(f"/datasets/{made.id}{page}").text


@pytest.mark.parametrize(
    ("form", "begins"),
    [("txt", "Statement of proof: FAIL\n"), ("html", "<!doctype html>"), ("json", '{\n  "result": "FAIL"')],
)
def test_the_statement_is_a_file(app: App, owner: Browser, clock: StandingClock, form: str, begins: str) -> None:
    made = proved(app, clock, ILL)
    answer = owner.get(f"/datasets/{made.id}/proof.{form}")
    assert answer.text.startswith(begins)
    assert re.fullmatch(rf'attachment; filename="charges-[\w-]+\.{form}"', answer["content-disposition"])


def test_what_can_not_be_proved_says_why(app: App, owner: Browser) -> None:
    made = dataset(app)
    answer = owner.post(f"/datasets/{made.id}/proof", {})
    assert answer.status == 409
    assert "There is nothing to prove: no run of" in answer.text


def test_words_of_checks_are_words(app: App, owner: Browser, clock: StandingClock) -> None:
    hostile = failed("recount", "rows", "<b>bold</b>", {"x": "<i>"}, [{"id": "<script>alert(1)</script>"}])
    made = proved(app, clock, hostile)
    for form in ("", ".html"):
        text = owner.get(f"/datasets/{made.id}/proof{form}").text
        assert "<script>alert" not in text
        assert "<b>bold" not in text


@dataclass
class Slow:
    """Stands for a proof: it has told where it is, and goes on when it may."""

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


def test_a_proof_that_goes_on_is_seen_and_is_not_begun_twice(
    app: App, owner: Browser, clock: StandingClock, slow: Slow
) -> None:
    made = proved(app, clock, WELL)
    text = begun(owner, made, slow)
    assert "<dd>recount: rows</dd>" in text
    assert "<dd>41</dd>" in text
    assert f'action="/datasets/{made.id}/proof"' not in text
    begun(owner, made, slow)
    slow.may_end.set()
    assert "event: end" in owner.get(f"/datasets/{made.id}/proof/live").text
    assert f'action="/datasets/{made.id}/proof"' in owner.get(f"/datasets/{made.id}/proof").text
    assert slow.calls == 1


def test_why_a_proof_came_to_nothing_is_told_once(app: App, owner: Browser, clock: StandingClock, slow: Slow) -> None:
    made = proved(app, clock, WELL)
    slow.error = TransientError("Stripe was away")
    begun(owner, made, slow)
    slow.may_end.set()
    owner.get(f"/datasets/{made.id}/proof/live")
    assert "Stripe was away" in owner.get(f"/datasets/{made.id}/proof").text
    assert "Stripe was away" not in owner.get(f"/datasets/{made.id}/proof").text


def test_a_service_that_goes_down_ends_a_proof(
    app: App, site: Site, owner: Browser, clock: StandingClock, slow: Slow
) -> None:
    begun(owner, proved(app, clock, WELL), slow)
    page: Any = site.page
    page.state.closing.set()
    for thread in threading.enumerate():
        if thread.name.startswith("prove "):
            thread.join(30)
    assert slow.ended_by == "_PageCloses"
