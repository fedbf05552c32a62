"""A dataset is made in four panes, whose state travels in the form; before it is saved only the account is stored."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from html import unescape
from urllib.parse import urlencode

import pytest

from counterfoil.app.app import App
from counterfoil.app.datasets.drafts import all_report_options, input_of, read_input
from counterfoil.app.values import Choice, Merge, Retry
from counterfoil.state.accounts import Account
from counterfoil.web.forms.dataset import DatasetForm
from stripe_sandbox import Sandbox
from tests.web.browser import FOLLOWED, Answer, Browser
from tests.web.conftest import FULL, RESTRICTED, Site
from tests.web.forms import Form, form_of, send
from tests.web.test_strangers import HOSTILE, SCRIPT

PLACE = "/datasets/new"


@pytest.fixture
def owner(site: Site) -> Browser:
    return site.owner()


@pytest.fixture
def shop(app: App, sandbox: Sandbox) -> Account:
    return app.accounts.add("Shop", FULL, api_base=sandbox.url)


@pytest.fixture
def at_stripe(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """The sandbox stands where Stripe would."""
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)


def form(answer: Answer) -> Form:
    assert answer.status == 200, answer.text
    return form_of(answer.text, PLACE)


def opened(answer: Answer) -> str:
    """The pane that is open."""
    return form(answer)["pane"]


def errors(answer: Answer) -> str:
    return unescape(" ".join(re.findall(r'class="field-error[^"]*".*?<span>(.*?)</span>', answer.text, re.DOTALL)))


def to_details(owner: Browser, account: Account) -> Form:
    return form(owner.get(f"{PLACE}?account={account.id}"))


def to_scheduling(owner: Browser, account: Account, report: str = "charges", **chosen: str) -> Form:
    answer = to_details(owner, account).send(owner, go="next", report=report, **chosen)
    assert opened(answer) == "scheduling", errors(answer)
    return form(answer)


def to_naming(owner: Browser, account: Account, report: str = "charges", **chosen: str) -> Form:
    answer = to_scheduling(owner, account, report).send(owner, go="next", **chosen)
    assert opened(answer) == "naming", errors(answer)
    return form(answer)


def test_a_key_is_tried_at_once_and_saved_and_never_travels_again(owner: Browser, app: App, at_stripe: None) -> None:
    answer = form(owner.get(PLACE)).send(owner, go="next", key=FULL)
    (account,) = app.accounts.list()
    assert opened(answer) == "details"
    assert form(answer)["account"] == account.id
    assert account.name == account.display_name
    assert ">Test<" in answer.text
    assert str(account.stripe_id) in answer.text
    assert f"May read all {len(all_report_options())} reports" in answer.text
    assert FULL not in answer.text
    assert app.datasets.list() == ()


def test_a_key_that_was_entered_before_is_the_account_that_it_became(owner: Browser, app: App, at_stripe: None) -> None:
    for _ in range(2):
        form(owner.get(PLACE)).send(owner, go="next", account="new", key=FULL)
    assert len(app.accounts.list()) == 1


def test_a_refused_key_is_told_below_its_field_and_not_sent_back(owner: Browser, app: App, at_stripe: None) -> None:
    key = "sk_test_nobodysKeyAtAll99"
    pairs = form(owner.get(PLACE)).filled({"go": "next", "key": key})
    answer = send(owner, PLACE, pairs, **{"hx-request": "true"})
    assert answer["hx-retarget"] == "#key-told"
    assert "Stripe does not take the key" in answer.text
    assert key not in answer.text
    whole = send(owner, PLACE, pairs)
    assert "Stripe does not take the key" in errors(whole)
    assert key not in whole.text
    assert app.accounts.list() == ()


def test_all_reports_are_offered_in_order_and_those_that_the_key_may_not_read_are_marked(
    owner: Browser, app: App, sandbox: Sandbox
) -> None:
    account = app.accounts.add("Narrow", RESTRICTED, api_base=sandbox.url)
    text = owner.get(f"{PLACE}?account={account.id}").text
    values = re.findall(r'name="report" value="(\w+)"', text)
    assert values == [one.key for one in all_report_options()]
    marked = re.findall(r"needs (rak_\w+)", text)
    assert "rak_event_read" in marked
    assert "rak_charge_read" not in marked


def test_another_report_has_its_own_method_and_keeps_nothing_of_the_first(owner: Browser, shop: Account) -> None:
    first = to_scheduling(owner, shop, "invoices", **{"option:status": "open", "column:customer_email": "hash"})
    back = form(first.send(owner, go="details"))
    assert back["option:status"] == "open"
    other = back.filled({"go": "report", "report": "balance"})
    answer = form(send(owner, PLACE, other))
    assert not any(name.startswith("option:") for name, _ in answer.pairs)
    assert answer["rows"] == "all"
    assert form(answer.send(owner, go="next"))["method"] == "append"


def test_a_preview_shows_the_first_rows_with_their_types_and_stores_nothing(
    owner: Browser, shop: Account, app: App
) -> None:
    answer = to_details(owner, shop).send(owner, go="preview", report="customers", promoted="order_id")
    assert opened(answer) == "details"
    assert '<span class="column-type">VARCHAR</span>' in answer.text
    assert "cus_" in answer.text
    assert app.datasets.list() == ()
    assert not (app.settings.home / "counterfoil.duckdb").exists()


def test_a_hashed_column_is_hashed_in_the_preview_too(owner: Browser, shop: Account) -> None:
    plain = to_details(owner, shop).send(owner, go="preview", report="customers")
    answer = to_details(owner, shop).send(owner, go="preview", report="customers", **{"column:email": "hash"})
    assert "@" in re.sub(r"<script.*?</script>", "", plain.text.split('id="preview"')[1])
    assert "@" not in answer.text.split('id="preview"')[1]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"report": ""}, "No report is chosen"),
        ({"report": "charges", "rows": "days", "days": "soon"}, "The number of days is not a whole number"),
        ({"report": "charges", "rows": "between"}, "There is no day yet"),
        (
            {"report": "charges", "rows": "between", "since": "2027-02-01", "until": "2027-01-01"},
            "Until 2027-01-01 is not after since 2027-02-01",
        ),
        ({"report": "charges", "option:customer": "a b"}, "can't be the value of customer"),
        ({"report": "charges", "column:currency": "out"}, "currency"),
    ],
)
def test_what_is_wrong_with_the_details_is_told_at_the_field_and_kept(
    owner: Browser, shop: Account, typed: dict[str, str], said: str
) -> None:
    answer = to_details(owner, shop).send(owner, go="next", **typed)
    assert opened(answer) == "details"
    assert said in errors(answer)
    assert {one for one in typed.items() if one[1]} <= set(form(answer).pairs)


def test_the_schedule_is_told_as_it_is_typed_with_its_next_times_and_its_requests(
    owner: Browser, shop: Account
) -> None:
    scheduling = to_scheduling(owner, shop)
    answer = scheduling.send(owner, go="times", unit="hours", n="6", zone="Europe/Berlin")
    told = answer.text.split('id="schedule-told"')[1]
    assert "Every 6 hours" in told
    assert len(re.findall(r"<time datetime", told)) == 5
    assert "Mon 4 Jan 2027, 18:00" in told
    assert re.search(r"120 runs in 30 days, about \d+ requests? each", told)
    assert re.search(r"About \d+ requests a month", told)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"unit": "minutes", "n": "30", "opens": "08:00", "closes": "18:00"}, "every 30 minutes between"),
        ({"unit": "days", "n": "1", "times": "06:00, 18:00"}, "daily at 06:00 and 18:00"),
        ({"unit": "days", "n": "1", "times": "07:30", "weekdays": ["mon", "tue"]}, "weekly on Monday and Tuesday at"),
        ({"unit": "weeks", "n": "2", "times": "09:00", "weekdays": ["fri"]}, "every 2 weeks on Friday at 09:00"),
        ({"unit": "months", "n": "1", "month_days": "1, last", "times": "06:00"}, "monthly on the 1st and last day"),
        ({"way": "advanced", "words": "0 6 * * 1-5"}, "cron 0 6 * * 1-5"),
        ({"way": "advanced", "words": "weekdays at 07:30"}, "weekdays at 07:30"),
        ({"when": "manual"}, "manual"),
    ],
)
def test_the_basic_and_the_advanced_schedule_become_what_they_say(
    owner: Browser, shop: Account, app: App, typed: dict[str, str | list[str]], words: str
) -> None:
    naming = form(to_scheduling(owner, shop, "coupons").send(owner, go="next", zone="Europe/Berlin", **typed))
    naming.send(owner, go="save")
    (made,) = app.datasets.list()
    assert input_of(made.dataset.schedule).startswith(words)
    assert made.dataset.schedule.zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"unit": "minutes", "n": "5"}, "Leave at least 15 minutes"),
        ({"way": "advanced", "words": "now and then"}, "is not a schedule"),
        ({"zone": "Europe/Berln"}, "Europe/Berlin"),
        ({"method": "partition", "last": "many"}, "is not a period"),
        ({"method": "merge", "reread_days": "0"}, "can't be 0 days"),
        ({"attempts": "0"}, "The number of attempts can't be 0"),
        ({"deadline": "x"}, "The number of minutes is not a whole number"),
    ],
)
def test_what_is_wrong_with_the_scheduling_is_told_and_kept(
    owner: Browser, shop: Account, typed: dict[str, str], said: str
) -> None:
    answer = to_scheduling(owner, shop).send(owner, go="next", **typed)
    assert opened(answer) == "scheduling"
    assert said in errors(answer)
    assert set(typed.items()) <= set(form(answer).pairs)


def test_a_switch_that_is_off_stays_off(owner: Browser, shop: Account, app: App) -> None:
    naming = form(to_scheduling(owner, shop).send(owner, go="next", retry=()))
    assert naming["retry"] == ""
    form(naming.send(owner, go="scheduling")).send(owner, go="next")
    naming.send(owner, go="save")
    (made,) = app.datasets.list()
    assert made.dataset.retry.on is False


def test_name_description_and_table_are_proposed_and_follow_until_something_else_is_typed(
    owner: Browser, shop: Account
) -> None:
    naming = to_naming(owner, shop)
    assert (naming["name"], naming["table"]) == ("Charges", "charges")
    assert naming["description"].startswith("Each attempt")
    details = form(naming.send(owner, go="details", table="mine"))
    scheduling = form(details.send(owner, go="next", report="refunds"))
    again = form(scheduling.send(owner, go="next"))
    assert (again["name"], again["table"]) == ("Refunds", "mine")


def test_saving_makes_the_dataset_as_it_was_typed(owner: Browser, shop: Account, app: App) -> None:
    details = to_details(owner, shop)
    chosen = {"option:status": "open", "column:customer_email": "hash", "column:number": "out"}
    scheduling = form(
        details.send(owner, go="next", report="invoices", rows="days", days="90", promoted="order_id, po", **chosen)
    )
    naming = form(scheduling.send(owner, go="next", method="merge", attempts="5", retry_manual="yes", deadline="60"))
    answer = naming.send(owner, go="save", name="Open invoices", description="For the close.", table="open_invoices")
    (made,) = app.datasets.list()
    dataset = made.dataset
    assert answer["location"] == f"/datasets/{dataset.id}"
    assert (dataset.name, dataset.description, dataset.method) == ("Open invoices", "For the close.", "merge")
    assert dataset.targets[0].table == "open_invoices"
    choice = dataset.choice
    assert (choice.last_days, choice.promoted) == (90, ("order_id", "po"))
    assert (dict(choice.options), choice.hashed) == ({"status": "open"}, ("customer_email",))
    assert choice.left_out == ("number",)
    assert (dataset.retry.attempts, dataset.retry.manual, dataset.deadline_minutes) == (5, True, 60)


def test_how_a_merge_keeps_its_table_is_chosen_and_stays_chosen(owner: Browser, shop: Account, app: App) -> None:
    chosen = {"method": "merge", "drop_deleted": "yes", "history": "yes", "reread_days": "30"}
    naming = form(to_scheduling(owner, shop).send(owner, go="next", **chosen))
    naming.send(owner, go="save")
    (made,) = app.datasets.list()
    assert made.dataset.merge == Merge(deleted="drop", history=True, reread_days=30)
    edit = edit_form(owner, made.dataset.id, "scheduling")
    assert (edit["drop_deleted"], edit["history"], edit["reread_days"]) == ("yes", "yes", "30")
    edit.send(owner, go="save", drop_deleted=(), history=())
    assert app.datasets.get(made.dataset.id).merge == Merge(reread_days=30)


def test_save_and_new_begins_the_next_with_the_same_account_and_says_what_was_saved(
    owner: Browser, shop: Account
) -> None:
    answer = to_naming(owner, shop).send(owner, go="save_new")
    after = owner.follow(answer)
    assert "Charges is saved" in after.text
    assert form(after)["account"] == shop.id
    assert opened(after) == "details"


def test_save_and_run_goes_to_the_run(owner: Browser, shop: Account, app: App) -> None:
    answer = to_naming(owner, shop, "coupons").send(owner, go="save_run")
    (run,) = app.runs.list()
    assert answer["location"] == f"/runs/{run.id}"
    assert run.trigger == "manual"


def test_a_name_or_table_that_is_taken_is_told_at_its_field(owner: Browser, shop: Account, app: App) -> None:
    to_naming(owner, shop).send(owner, go="save")
    second = to_naming(owner, shop)
    assert (second["name"], second["table"]) == ("Charges of Shop", "charges_2")
    answer = second.send(owner, go="save", name="Charges")
    assert "There is already a dataset 'Charges'" in errors(answer)
    answer = second.send(owner, go="save", table="CHARGES")
    assert "belongs to the dataset 'Charges'" in errors(answer)
    answer = second.send(owner, go="save", to="parquet:///x", method="merge")
    assert "can't merge" in errors(answer)
    assert len(app.datasets.list()) == 1


def test_a_form_that_jumps_ahead_opens_at_the_first_pane_that_lacks_something(owner: Browser, shop: Account) -> None:
    answer = send(owner, PLACE, [("account", shop.id), ("go", "save"), ("pane", "naming"), ("reached", "naming")])
    assert opened(answer) == "details"
    answer = send(owner, PLACE, [("account", "nobody"), ("go", "naming"), ("pane", "details"), ("report", "charges")])
    assert opened(answer) == "credentials"
    assert "There is no account" in errors(answer)


def test_going_back_keeps_what_was_typed_even_if_it_is_wrong(owner: Browser, shop: Account) -> None:
    back = to_scheduling(owner, shop).send(owner, go="details", n="many", words="<script>")
    assert opened(back) == "details"
    pairs = form(back).pairs
    assert ("n", "many") in pairs
    assert ("words", "<script>") in pairs
    assert '<script>"' not in back.text


def test_after_another_dataset_it_has_no_schedule_of_its_own(owner: Browser, shop: Account, app: App) -> None:
    to_naming(owner, shop).send(owner, go="save")
    (first,) = app.datasets.list()
    naming = form(to_scheduling(owner, shop, "refunds").send(owner, go="next", when="after", after=first.dataset.id))
    naming.send(owner, go="save")
    made = next(one for one in app.datasets.list() if one.dataset.report == "refunds")
    assert made.after == "Charges"
    assert made.dataset.next_due_at is None


def test_a_key_that_was_given_more_rights_is_tried_again_without_leaving_the_form(owner: Browser, app: App) -> None:
    with Sandbox(scale=0.01) as own:
        own.control("keys", key=RESTRICTED, permissions=["rak_charge_read"])
        account = app.accounts.add("Narrow", RESTRICTED, api_base=own.url)
        details = form(to_details(owner, account).send(owner, go="report", report="events"))
        assert "can’t read Events" in owner.get(f"{PLACE}?account={account.id}&report=events").text
        own.control("keys", key=RESTRICTED, permissions=["rak_charge_read", "rak_event_read"])
        answer = details.send(owner, go="check")
    assert "events" in app.accounts.get(account.id).readable
    assert form(answer)["report"] == "events"
    assert "can’t read Events" not in answer.text


def edit_form(owner: Browser, dataset: str, pane: str = "details") -> Form:
    place = f"/datasets/{dataset}/edit"
    answer = owner.get(f"{place}?pane={pane}")
    assert answer.status == 200, answer.text
    return form_of(answer.text, place)


@pytest.mark.parametrize(
    "words",
    [
        "manual",
        "daily at 06:00 and 18:00",
        "every 6 hours",
        "every 30 minutes between 08:00 and 18:00",
        "weekdays at 07:30",
        "weekly on mon,thu at 09:00",
        "monthly on first monday at 06:00",
        "every 5 hours from 2027-01-04 08:00",
        "cron 0 6 * * 1-5",
    ],
)
def test_a_dataset_that_is_saved_as_it_was_is_what_it_was(owner: Browser, shop: Account, app: App, words: str) -> None:
    choice = Choice(since=1_700_000_000, options={"status": "open"}, promoted=("po",), hashed=("customer_email",))
    made = app.datasets.create(
        "Open invoices",
        account="Shop",
        report="invoices",
        choice=choice,
        method="merge",
        schedule=read_input(words, "Europe/Berlin"),
        retry=Retry(attempts=7, manual=True),
        deadline_minutes=90,
    ).dataset
    for pane in ("credentials", "details", "scheduling", "naming"):
        answer = edit_form(owner, made.id, pane).send(owner, go="save")
        assert answer.get("location") == f"/datasets/{made.id}/settings", errors(answer)
        assert replace(app.datasets.get(made.id), updated_at=made.updated_at) == made


def test_a_dataset_is_changed_where_something_else_is_typed(owner: Browser, shop: Account, app: App) -> None:
    made = app.datasets.create("Charges", account="Shop", report="charges").dataset
    form = edit_form(owner, made.id, "scheduling")
    form.send(owner, go="save", when="every", unit="hours", n="4", report="refunds")
    changed = app.datasets.get(made.id)
    assert (input_of(changed.schedule), changed.report) == ("every 4 hours", "charges")
    refused = edit_form(owner, made.id, "naming").send(owner, go="save", name="")
    assert "can't be the name of a dataset" in errors(refused)
    assert form_of(refused.text, f"/datasets/{made.id}/edit")["name"] == ""
    edit_form(owner, made.id, "naming").send(owner, go="save", name="All charges")
    assert app.datasets.get(made.id).name == "All charges"


def test_a_dataset_with_a_schedule_that_also_follows_another_keeps_both(
    owner: Browser, shop: Account, app: App
) -> None:
    first = app.datasets.create("Charges", account="Shop", report="charges").dataset
    daily = read_input("daily at 06:00", "UTC")
    both = app.datasets.create("Refunds", account="Shop", report="refunds", after=first.id, schedule=daily).dataset
    edit_form(owner, both.id, "scheduling").send(owner, go="save", times="07:00")
    changed = app.datasets.get(both.id)
    assert (changed.after, input_of(changed.schedule)) == (first.id, "daily at 07:00")


@pytest.mark.parametrize("go", ["next", "report", "times", "preview", "check", "naming", "save", "save_run"])
def test_hostile_words_in_any_field_do_no_harm(owner: Browser, shop: Account, app: App, go: str) -> None:
    names = [one.name for one in fields(DatasetForm)]
    for value in HOSTILE:
        for known in ({}, {"account": shop.id, "report": "charges", "reached": "naming", "pane": "details"}):
            pairs = [(name, value) for name in names if name not in known]
            pairs += [(f"option:{value}", value), (f"column:{value}", "hash"), ("weekdays", value), *known.items()]
            body = urlencode([*pairs, ("go", go)], errors="surrogatepass").encode()
            answer = owner.ask("POST", PLACE, headers=FOLLOWED, body=body)
            assert answer.status < 500, (value, known)
            assert SCRIPT not in answer.text
            assert "<img src=x" not in answer.text
    assert app.datasets.list() == ()


def test_more_destinations_are_given_one_a_line_and_shown_again(app: App, owner: Browser, shop: Account) -> None:
    naming = to_naming(owner, shop)
    bad = naming.send(owner, go="save", more="duckdb:///b.duckdb\nbooks")
    assert "is not a destination" in errors(bad)
    naming.send(owner, go="save", more="\n duckdb:///b.duckdb \n")
    (made,) = app.datasets.list()
    assert [target.url for target in made.dataset.targets][1:] == ["duckdb:///b.duckdb"]
    again = form_of(
        owner.get(f"/datasets/{made.dataset.id}/edit?pane=naming").text, f"/datasets/{made.dataset.id}/edit"
    )
    assert again["more"].strip() == "duckdb:///b.duckdb"
    again.send(owner, go="save", more="")
    assert len(app.datasets.get(made.dataset.id).targets) == 1
