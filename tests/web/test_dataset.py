"""A dataset's overview, schema, settings and history, and going back."""

from __future__ import annotations

import re

import pytest

from counterfoil.app.app import App
from counterfoil.errors import DestinationRejected, StripeUnavailable
from counterfoil.state.dataset import Choice, Target
from counterfoil.state.run import Counts
from tests.web.browser import Browser
from tests.web.conftest import Site, StandingClock
from tests.web.forms import form_of
from tests.web.tabled import began, dataset, failed, fill, ran, watching


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


def figure(text: str, label: str) -> str:
    found = re.search(rf"<dt>{label}</dt><dd>(.*?)</dd>", text)
    assert found is not None, label
    return re.sub("<[^>]*>", "", found[1])


def test_an_overview_tells_rows_freshness_the_next_run_and_what_was_spent(
    app: App, owner: Browser, clock: StandingClock
) -> None:
    made = dataset(app, method="replace")
    fill(app, made)
    ran(app, made, clock, Counts(read=900, added=900), requests=9)
    clock.advance(minutes=30)
    ran(app, made, clock, Counts(read=1000, added=1000, deleted=900), requests=11)
    text = owner.get(f"/datasets/{made.id}").text
    assert figure(text, "Rows in the table") == "1,000"
    assert figure(text, "Last brought up to date") == "just now"
    assert figure(text, "Next run").startswith("in ")
    assert figure(text, "Last run took") == "2 s"
    assert figure(text, "Reads in January") == "20"
    course = re.search(r"<title>Rows in the table after each run</title><desc>(.*?)</desc>", text)
    assert course is not None
    assert re.findall(r": ([\d,.]+)", course[1])[-2:] in (["900.0", "1,000.0"], ["900", "1,000"])


def test_rows_after_a_merge_are_counted_back_without_what_is_only_marked(
    app: App, owner: Browser, clock: StandingClock
) -> None:
    made = dataset(app, method="merge")
    fill(app, made)
    ran(app, made, clock, Counts(read=990, added=990))
    ran(app, made, clock, Counts(read=30, added=10, changed=15, deleted=5))
    told = owner.get(f"/datasets/{made.id}").text
    assert "990" in told.split("after each run</title><desc>")[1].split("</desc>")[0]


def test_the_account_s_reads_are_those_of_all_its_datasets_this_month(
    app: App, owner: Browser, clock: StandingClock
) -> None:
    made, other = dataset(app), dataset(app, "Others")
    clock.advance(days=-20)
    ran(app, made, clock, Counts(read=1), requests=5000)
    clock.advance(days=20)
    ran(app, made, clock, Counts(read=1), requests=100)
    ran(app, other, clock, Counts(read=1), requests=400)
    text = owner.get(f"/datasets/{made.id}").text
    assert figure(text, "Reads in January") == "100"
    assert re.search(r'class="figure">500 .*?5\.0 %', text)


def test_a_dataset_that_never_ran_says_what_a_run_does(app: App, owner: Browser) -> None:
    made = dataset(app)
    text = owner.get(f"/datasets/{made.id}").text
    assert "Not run yet" in text
    assert 'name="action" value="run"' in text
    assert "No run yet" in owner.get(f"/datasets/{made.id}/history").text


def test_what_is_wrong_comes_with_one_action(app: App, owner: Browser) -> None:
    made = dataset(app)
    run = failed(app, made, DestinationRejected("The disk is full", hint="Free some space."))
    text = owner.get(f"/datasets/{made.id}").text
    assert "The disk is full" in text
    assert "Free some space." in text
    assert f'href="/runs/{run}"' in text
    app.datasets.pause(made.id, "Stripe refused the key.")
    paused = owner.get(f"/datasets/{made.id}").text
    assert "Stripe refused the key." in paused
    assert 'value="resume"' in paused


def test_a_schema_tells_where_each_column_comes_from(app: App, owner: Browser, clock: StandingClock) -> None:
    choice = Choice(promoted=("order",), hashed=("receipt_email",))
    made = dataset(app, choice=choice)
    run = ran(app, made, clock, Counts(read=1))
    app.records.runs.update(run.id, warnings=["brand_new is not declared: string, kept in _extra"])
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
    assert "brand_new is not declared" in text


def test_a_schema_can_be_searched(app: App, owner: Browser) -> None:
    made = dataset(app)
    text = owner.get(f"/datasets/{made.id}/schema?search=card+last4").text.replace("<wbr>", "")
    assert re.findall(r'font-medium">(\w+)<', text) == ["payment_method_details_card_last4"]
    assert "No column is like that" in owner.get(f"/datasets/{made.id}/schema?search=xyzzy").text


def test_settings_are_told_as_they_are(app: App, owner: Browser) -> None:
    made = dataset(app, choice=Choice(last_days=30, left_out=("description",)))
    text = owner.get(f"/datasets/{made.id}/settings").text
    assert figure(text, "Only the last days") == "30"
    assert figure(text, "Columns left out") == "description"
    assert figure(text, "Schedule") == "every hour in UTC"
    assert "x" * 24 not in text


def test_a_history_has_each_run_with_its_error_and_stripe_s_request(
    app: App, owner: Browser, clock: StandingClock
) -> None:
    made = dataset(app)
    good = ran(app, made, clock, Counts(read=1234, added=1234))
    failed(app, made, StripeUnavailable("Stripe did not answer", hint="Try again later.", request_id="req_42"))
    text = owner.get(f"/datasets/{made.id}/history").text
    assert "1,234" in text
    assert "Stripe did not answer" in text
    assert "Try again later." in text
    assert "request req_42" in text
    assert f"/runs/{good.id}" in text


def test_going_back_says_what_happens_and_is_refused_where_nothing_is_kept(
    app: App, owner: Browser, clock: StandingClock
) -> None:
    made = dataset(app)
    first = ran(app, made, clock, Counts(read=5))
    ran(app, made, clock, Counts(read=6))
    text = owner.get(f"/runs/{first.id}/revert").text
    assert "What the 1 later run brought is taken out" in text
    assert "Stripe is asked nothing" in text
    answer = owner.post(f"/runs/{first.id}/revert")
    assert answer.status == 409
    assert "kept no longer" in answer.text
    assert len(app.runs.list(made.id)) == 2


def test_a_run_that_goes_on_is_seen_until_it_ends(app: App, owner: Browser) -> None:
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
def test_a_dataset_that_is_not_there_is_a_page_that_says_so(owner: Browser, tab: str) -> None:
    answer = owner.get(f"/datasets/ds_none{tab}")
    assert answer.status == 404
    assert "ds_none" in answer.text


def test_a_name_is_never_markup(app: App, owner: Browser) -> None:
    made = dataset(app, "<b>x</b> " + "long " * 12)
    text = owner.get(f"/datasets/{made.id}").text
    assert "&lt;b&gt;x" in text
    assert "<b>x</b>" not in text


def test_a_table_that_was_left_behind_is_told_and_can_be_filled_by_a_button(
    app: App, owner: Browser, clock: StandingClock
) -> None:
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
