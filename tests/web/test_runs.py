"""The pages of runs: active and finished runs, and a run with its log, rows and live progress."""

from __future__ import annotations

import re

import pytest

from counterfoil.app.app import App
from counterfoil.errors import DestinationBusy, StripeUnavailable
from counterfoil.state.run import LOAD_STEP, Counts
from counterfoil.web.pages.runs import Pace
from tests.web.browser import Browser
from tests.web.conftest import Site, StandingClock
from tests.web.forms import codes
from tests.web.tabled import began, dataset, failed, ran, watching


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


def test_running_queued_and_waiting_runs_are_distinguished(app: App, owner: Browser, clock: StandingClock) -> None:
    running, queued, waiting = (dataset(app, name) for name in ("Running", "Queued", "Waiting"))
    began(app, running, read=1200)
    app.records.runs.create(queued.id, "manual")
    run, token = began(app, waiting)
    app.records.runs.wait(run, DestinationBusy("the file is locked by process 7", hint="Close it."), owner=token)
    text = owner.get("/runs").text
    doing = re.findall(r'class="status [^"]*">.*?<span>([^<]*)</span>', text, re.DOTALL)
    assert doing == ["Reading from Stripe", "Queued", "Waiting to retry"]
    assert "1,200" in text
    assert "in 15 minutes" in text
    assert "locked by process 7" in text


def test_step_of_run_comes_from_log_fields(app: App, owner: Browser) -> None:
    run, _ = began(app, dataset(app))
    app.records.runs.log(run, "info", "Loading into charges.")
    assert "Reading from Stripe" in owner.get(f"/runs/{run}").text
    app.records.runs.log(run, "info", "Another line.", step=LOAD_STEP)
    assert "Loading into the table" in owner.get(f"/runs/{run}").text


def test_progress_is_relative_to_the_last_full_refresh(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    ran(app, made, clock, Counts(read=5000))
    run, _ = began(app, made, read=1250)
    text = owner.get(f"/runs/{run}").text
    assert 'value="1250" max="5000"' in text
    assert "of about 5,000" in text


def test_failed_runs_are_filtered_and_show_the_error(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    ran(app, made, clock, Counts(read=77))
    failed(app, made, StripeUnavailable("no response from Stripe", hint="Later.", request_id="req_1"))
    text = owner.get("/runs?status=failed").text
    assert ">No response from Stripe<" in text
    assert ">77<" not in text
    assert ">77<" in owner.get("/runs").text


def test_empty_states_of_the_page_of_runs(app: App, owner: Browser) -> None:
    assert "No runs yet" in owner.get("/runs").text
    dataset(app)
    assert "No active runs" in owner.get("/runs").text


def test_run_page_shows_error_attempts_requests_and_log(app: App, owner: Browser) -> None:
    made = dataset(app)
    run, token = began(app, made)
    app.records.runs.wait(run, StripeUnavailable("connection refused"), owner=token)
    token = app.records.runs.begin_attempt(run)
    app.records.runs.log(run, "warning", "unknown field", hint="See the schema.")
    app.records.runs.finish(
        run, "failed", owner=token, error=StripeUnavailable("request timed out", hint="Wait.", request_id="req_9")
    )
    text = owner.get(f"/runs/{run}").text
    for shown in (
        "Connection refused",
        "Request timed out",
        "Wait.",
        "request req_9",
        "Unknown field",
        "See the schema.",
    ):
        assert shown in text
    assert "GET /v1/charges" in text
    assert "/rows.csv" not in text, "it has no archive"


def test_live_progress_shows_counts_and_log_until_the_end(app: App, owner: Browser) -> None:
    made = dataset(app)
    run, token = began(app, made, read=100)
    seen: list[str] = []

    def saw(piece: str) -> bool:
        seen.append(piece)
        if len(seen) == 2:
            app.records.runs.log(run, "info", "Half of the rows")
            app.records.runs.update(run, owner=token, counts=Counts(read=4321))
        elif "Half of the rows" in piece:
            app.records.runs.finish(run, "succeeded", owner=token)
        return False

    watching(owner, saw).get(f"/runs/{run}/live")
    assert any("4,321" in piece for piece in seen)
    assert any("event: end" in piece for piece in seen[-2:])


def test_live_list_ends_without_active_runs(app: App, owner: Browser) -> None:
    assert "event: end" in owner.get("/runs/live").text


def test_stream_ends_when_the_client_disconnects(app: App, owner: Browser) -> None:
    made = dataset(app)
    began(app, made, read=55)
    pieces: list[str] = []
    watching(owner, lambda piece: bool(pieces.append(piece)) or "55" in piece).get("/runs/live")
    assert "event: progress" in "".join(pieces)


def test_queued_run_is_canceled_at_once(app: App, owner: Browser) -> None:
    made = dataset(app)
    run = app.records.runs.create(made.id, "manual").id
    answer = owner.post(f"/runs/{run}/cancel", {"next": "/runs"})
    assert (answer.status, answer["location"]) == (303, "/runs")
    assert app.runs.get(run).status == "canceled"
    again = owner.post(f"/runs/{run}/cancel")
    assert again.status == 409
    assert run in again.text
    assert "canceled" in again.text


def test_return_url_of_cancel_stays_on_site(app: App, owner: Browser) -> None:
    run = app.records.runs.create(dataset(app).id, "manual").id
    answer = owner.post(f"/runs/{run}/cancel", {"next": "https://elsewhere.example"})
    assert answer["location"] == f"/runs/{run}"


def test_rows_of_deleted_archive_are_unavailable(app: App, owner: Browser, clock: StandingClock) -> None:
    run = ran(app, dataset(app), clock, Counts(read=3))
    assert f"archive of run {run.id}" in owner.get(f"/runs/{run.id}/rows").text
    answer = owner.get(f"/runs/{run.id}/rows.csv")
    assert answer.status == 409
    assert codes(answer) == ["archive_removed"]
    assert answer.get("content-disposition") is None


def test_unknown_run_responds_404(owner: Browser) -> None:
    for path in ("", "/live", "/rows", "/rows.csv", "/revert"):
        answer = owner.get(f"/runs/20270101T000000Z-none{path}")
        assert answer.status == 404, path


def test_speed_is_averaged_over_the_last_seconds(app: App) -> None:
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
