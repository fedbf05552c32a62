"""The overview, schema, settings and history of a dataset, and rollback."""

from __future__ import annotations

import re

import pytest

from counterfoil.app.app import App
from counterfoil.errors import DestinationRejected, StripeUnavailable
from counterfoil.state.dataset import Choice, Target
from counterfoil.state.run import Counts
from tests.web.browser import Browser
from tests.web.conftest import Site, StandingClock
from tests.web.forms import codes, form_of
from tests.web.tabled import began, dataset, failed, fill, ran, watching


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


def figure(text: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt><dd>(.*?)</dd>", text)
    assert found is not None, label
    return re.sub("<[^>]*>", "", found[1])


def test_overview_shows_rows_times_and_requests(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app, method="replace")
    fill(app, made)
    ran(app, made, clock, Counts(read=900, added=900), requests=9)
    clock.advance(minutes=30)
    ran(app, made, clock, Counts(read=1000, added=1000, deleted=900), requests=11)
    text = owner.get(f"/datasets/{made.id}").text
    assert figure(text, "Rows in the table") == "1,000"
    assert figure(text, "Last updated") == "just now"
    assert figure(text, "Next run").startswith("in ")
    assert figure(text, "Last run duration") == "2 s"
    assert figure(text, "API requests in January") == "20"
    course = re.search(r"<title>Rows in the table after each run</title><desc>(.*?)</desc>", text)
    assert course is not None
    assert re.findall(r": ([\d,.]+)", course[1])[-2:] in (["900.0", "1,000.0"], ["900", "1,000"])


def test_chart_of_rows_includes_rows_marked_as_deleted(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app, method="merge")
    fill(app, made)
    ran(app, made, clock, Counts(read=990, added=990))
    ran(app, made, clock, Counts(read=30, added=10, changed=15, deleted=5))
    text = owner.get(f"/datasets/{made.id}").text
    assert "990" in text.split("after each run</title><desc>")[1].split("</desc>")[0]


def test_api_usage_is_that_of_all_datasets_of_the_account(app: App, owner: Browser, clock: StandingClock) -> None:
    made, other = dataset(app), dataset(app, "Others")
    clock.advance(days=-20)
    ran(app, made, clock, Counts(read=1), requests=5000)
    clock.advance(days=20)
    ran(app, made, clock, Counts(read=1), requests=100)
    ran(app, other, clock, Counts(read=1), requests=400)
    text = owner.get(f"/datasets/{made.id}").text
    assert figure(text, "API requests in January") == "100"
    assert re.search(r'class="figure">500 .*?5\.0 %', text)


def test_dataset_without_runs_offers_a_run(app: App, owner: Browser) -> None:
    made = dataset(app)
    text = owner.get(f"/datasets/{made.id}").text
    assert "Not run yet" in text
    assert 'name="action" value="run"' in text
    assert "No runs yet" in owner.get(f"/datasets/{made.id}/history").text


def test_problem_is_shown_with_an_action(app: App, owner: Browser) -> None:
    made = dataset(app)
    run = failed(app, made, DestinationRejected("the disk is full", hint="Free some space."))
    text = owner.get(f"/datasets/{made.id}").text
    assert ">The disk is full<" in text
    assert "Free some space." in text
    assert f'href="/runs/{run}"' in text
    app.datasets.pause(made.id, "Stripe rejected the key")
    paused = owner.get(f"/datasets/{made.id}").text
    assert "Stripe rejected the key" in paused
    assert 'value="resume"' in paused


def test_schema_shows_the_source_of_each_column(app: App, owner: Browser, clock: StandingClock) -> None:
    choice = Choice(promoted=("order",), hashed=("receipt_email",))
    made = dataset(app, choice=choice)
    run = ran(app, made, clock, Counts(read=1))
    app.records.runs.update(run.id, warnings=["brand_new is not declared: string, stored in _extra"])
    text = owner.get(f"/datasets/{made.id}/schema").text.replace("<wbr>", "")
    rows = {
        found[1]: found[0]
        for found in re.findall(
            r'(<td class="cell-name"><span class="mono font-medium">(\w+)<.*?</tr>)', text, re.DOTALL
        )
    }
    assert "payment_method_details.card.last4" in rows["payment_method_details_card_last4"]
    assert "promoted" in rows["metadata_order"]
    assert "hashed" in rows["receipt_email"]
    assert "Counterfoil" in rows["_synced_at"]
    assert "major units" in rows["amount_major"]
    assert ">brand_new is not declared" in text


def test_schema_is_searchable(app: App, owner: Browser) -> None:
    made = dataset(app)
    text = owner.get(f"/datasets/{made.id}/schema?search=card+last4").text.replace("<wbr>", "")
    assert re.findall(r'font-medium">(\w+)<', text) == ["payment_method_details_card_last4"]
    assert "No matching columns" in owner.get(f"/datasets/{made.id}/schema?search=xyzzy").text


def test_settings_page_shows_the_options(app: App, owner: Browser) -> None:
    made = dataset(app, choice=Choice(last_days=30, left_out=("description",)))
    text = owner.get(f"/datasets/{made.id}/settings").text
    assert figure(text, "Last days") == "30"
    assert figure(text, "Columns left out") == "description"
    assert figure(text, "Schedule") == "every hour in UTC"
    assert "x" * 24 not in text


def test_history_shows_runs_with_errors_and_request_ids(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    good = ran(app, made, clock, Counts(read=1234, added=1234))
    failed(app, made, StripeUnavailable("no response from Stripe", hint="Try again later.", request_id="req_42"))
    text = owner.get(f"/datasets/{made.id}/history").text
    assert "1,234" in text
    assert ">No response from Stripe<" in text
    assert ">Try again later.<" in text
    assert "request req_42" in text
    assert f"/runs/{good.id}" in text


def test_rollback_shows_its_effect_and_requires_archives(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    first = ran(app, made, clock, Counts(read=5))
    ran(app, made, clock, Counts(read=6))
    text = owner.get(f"/runs/{first.id}/revert").text
    assert "1 later run" in text
    assert "without API requests" in text
    answer = owner.post(f"/runs/{first.id}/revert")
    assert answer.status == 409
    assert codes(answer) == ["archive_removed"]
    assert len(app.runs.list(made.id)) == 2


def test_active_run_is_shown_live(app: App, owner: Browser) -> None:
    made = dataset(app)
    run, token = began(app, made, read=700)
    text = owner.get(f"/datasets/{made.id}").text
    assert f'sse-connect="/datasets/{made.id}/live"' in text
    seen: list[str] = []

    def saw(piece: str) -> bool:
        seen.append(piece)
        if "700" in piece:
            app.records.runs.finish(run, "succeeded", owner=token, counts=Counts(read=701))
        return False

    watching(owner, saw).get(f"/datasets/{made.id}/live")
    assert "event: end" in seen[-2] + seen[-1]


@pytest.mark.parametrize("tab", ["", "/data", "/schema", "/history", "/settings", "/live"])
def test_unknown_dataset_responds_404(owner: Browser, tab: str) -> None:
    answer = owner.get(f"/datasets/ds_none{tab}")
    assert answer.status == 404
    assert "ds_none" in answer.text


def test_name_is_escaped(app: App, owner: Browser) -> None:
    made = dataset(app, "<b>x</b> " + "long " * 12)
    text = owner.get(f"/datasets/{made.id}").text
    assert "&lt;b&gt;x" in text
    assert "<b>x</b>" not in text


def test_outdated_table_is_reported_and_can_be_backfilled(app: App, owner: Browser, clock: StandingClock) -> None:
    made = dataset(app)
    made = app.records.datasets.edit(
        made.id, targets=(*made.targets, Target(url="postgresql://me@db/books", table="charges"))
    )
    run = ran(app, made, clock, Counts(read=5))
    app.records.runs.record_load(run.id, made.targets[0].url, made.targets[0].table, "replace", 5)
    assert "Needs attention" in owner.get("/").text
    page = owner.get(f"/datasets/{made.id}").text
    assert "Not up to date: charges of postgresql://me@db/books" in page
    form = form_of(page, f"/datasets/{made.id}/fill")
    assert form["to"] == "postgresql://me@db/books"
    app.records.runs.record_load(run.id, made.targets[1].url, "charges", "replace", 5)
    assert "Not up to date" not in owner.get(f"/datasets/{made.id}").text
