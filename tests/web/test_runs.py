"""Runs: what goes on, what waits, what failed; one of them with its log, its rows and its end."""

from __future__ import annotations

import pytest

from counterfoil.app.app import App
from counterfoil.errors import DestinationBusy, StripeUnavailable
from counterfoil.state.run import LOAD_STEP, Counts
from counterfoil.web.pages.runs import Pace
from tests.web.browser import Browser
from tests.web.conftest import Site, StandingClock
from tests.web.tabled import began, dataset, failed, ran, watching


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


def test_what_runs_is_queued_and_waits_is_told_apart(app: App, owner: Browser, clock: StandingClock) -> None:
    running, queued, waiting = (dataset(app, name) for name in ("Running", "Queued", "Waiting"))
    began(app, running, read=1200)
    app.records.runs.create(queued.id, "manual")
    run, token = began(app, waiting)
    app.records.runs.wait(run, DestinationBusy("The file is held by process 7", hint="Close it."), owner=token)
    text = owner.get("/runs").text
    assert text.index("Reads from Stripe") < text.index("Waits for a place") < text.index("Waits to be tried again")
    assert "1,200" in text
    assert "in 15 minutes" in text
    assert "held by process 7" in text


def test_step_of_a_run_is_read_from_the_fields_of_its_log(app: App, owner: Browser) -> None:
    run, _ = began(app, dataset(app))
    app.records.runs.log(run, "info", "Loading into charges.")
    assert "Reads from Stripe" in owner.get(f"/runs/{run}").text
    app.records.runs.log(run, "info", "A line in other words.", step=LOAD_STEP)
    assert "Loads into the table" in owner.get(f"/runs/{run}").text


def test_a_full_read_is_compared_with_the_one_before(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    ran(app, made, clock, Counts(read=5000))
    run, _ = began(app, made, read=1250)
    text = owner.get(f"/runs/{run}").text
    assert 'value="1250" max="5000"' in text
    assert "of about 5,000" in text


def test_failures_are_filtered_and_told(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    ran(app, made, clock, Counts(read=77))
    failed(app, made, StripeUnavailable("Stripe did not answer", hint="Later.", request_id="req_1"))
    text = owner.get("/runs?status=failed").text
    assert "Stripe did not answer" in text
    assert ">77<" not in text
    assert ">77<" in owner.get("/runs").text


def test_no_run_and_no_dataset_teach_the_next_step(app: App, owner: Browser) -> None:
    assert "Nothing has run yet" in owner.get("/runs").text
    dataset(app)
    assert "Nothing runs, and nothing waits" in owner.get("/runs").text


def test_a_run_s_page_has_its_error_attempts_requests_and_log(app: App, owner: Browser) -> None:
    made = dataset(app)
    run, token = began(app, made)
    app.records.runs.wait(run, StripeUnavailable("The first try failed"), owner=token)
    token = app.records.runs.begin_attempt(run)
    app.records.runs.log(run, "warning", "Something to look at", hint="Look at it.")
    app.records.runs.finish(
        run, "failed", owner=token, error=StripeUnavailable("The second too", hint="Wait.", request_id="req_9")
    )
    text = owner.get(f"/runs/{run}").text
    for told in ("The first try failed", "The second too", "Wait.", "req_9", "Something to look at", "Look at it."):
        assert told in text
    assert "GET /v1/charges" in text
    assert "/rows.csv" not in text, "nothing is kept of it"


def test_a_run_is_seen_live_with_its_log_until_it_ends(app: App, owner: Browser) -> None:
    made = dataset(app)
    run, token = began(app, made, read=100)
    seen: list[str] = []

    def saw(piece: str) -> bool:
        seen.append(piece)
        if len(seen) == 2:
            app.records.runs.log(run, "info", "Half of it is there")
            app.records.runs.update(run, owner=token, counts=Counts(read=4321))
        elif "Half of it is there" in piece:
            app.records.runs.finish(run, "succeeded", owner=token)
        return False

    watching(owner, saw).get(f"/runs/{run}/live")
    assert any("4,321" in piece for piece in seen)
    assert any("event: end" in piece for piece in seen[-2:])


def test_the_list_of_what_runs_ends_when_nothing_does(app: App, owner: Browser) -> None:
    assert "event: end" in owner.get("/runs/live").text


def test_a_watcher_that_leaves_is_let_go(app: App, owner: Browser) -> None:
    made = dataset(app)
    began(app, made, read=55)
    pieces: list[str] = []
    watching(owner, lambda piece: bool(pieces.append(piece)) or "55" in piece).get("/runs/live")
    assert "event: progress" in "".join(pieces)


def test_a_run_that_waits_is_canceled_at_once(app: App, owner: Browser) -> None:
    made = dataset(app)
    run = app.records.runs.create(made.id, "manual").id
    answer = owner.post(f"/runs/{run}/cancel", {"next": "/runs"})
    assert (answer.status, answer["location"]) == (303, "/runs")
    assert app.runs.get(run).status == "canceled"
    again = owner.post(f"/runs/{run}/cancel")
    assert again.status == 409
    assert "is over" in again.text


def test_after_a_cancel_nothing_leads_elsewhere(app: App, owner: Browser) -> None:
    run = app.records.runs.create(dataset(app).id, "manual").id
    answer = owner.post(f"/runs/{run}/cancel", {"next": "https://elsewhere.example"})
    assert answer["location"] == f"/runs/{run}"


def test_rows_that_are_kept_no_longer_say_so(app: App, owner: Browser, clock: StandingClock) -> None:
    run = ran(app, dataset(app), clock, Counts(read=3))
    assert "kept no longer" in owner.get(f"/runs/{run.id}/rows").text
    answer = owner.get(f"/runs/{run.id}/rows.csv")
    assert answer.status == 409
    assert answer.get("content-disposition") is None


def test_a_run_that_is_not_there_is_a_page_that_says_so(owner: Browser) -> None:
    for path in ("", "/live", "/rows", "/rows.csv", "/revert"):
        answer = owner.get(f"/runs/20270101T000000Z-none{path}")
        assert answer.status == 404, path


def test_speed_is_that_of_the_last_seconds(app: App) -> None:
    made = dataset(app)
    run, token = began(app, made, read=0)
    at = [0.0]
    pace = Pace(lambda: at[0])
    assert pace.of(app.runs.get(run)) is None
    for second in range(1, 41):
        at[0] = second
        read = second * 100 if second <= 20 else 2000 + (second - 20) * 1000
        app.records.runs.update(run, owner=token, counts=Counts(read=read), requests={"GET /v1/charges": 2 + second})
        speed = pace.of(app.runs.get(run))
    assert speed is not None
    assert speed[0] == pytest.approx(1000)
    assert speed[1] == pytest.approx(1)
