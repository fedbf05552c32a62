"""The form of a dataset: four panes whose state is in the form. Only the account is stored before saving."""

from __future__ import annotations

import re
from dataclasses import fields, replace
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
from tests.web.forms import Form, codes, errors, form_of, send
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
    """Uses the sandbox in place of Stripe."""
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)


def form(answer: Answer) -> Form:
    assert answer.status == 200, answer.text
    return form_of(answer.text, PLACE)


def opened(answer: Answer) -> str:
    """The name of the open pane."""
    return form(answer)["pane"]


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


def test_key_is_tested_saved_and_not_sent_back(owner: Browser, app: App, at_stripe: None) -> None:
    answer = form(owner.get(PLACE)).send(owner, go="next", key=FULL)
    (account,) = app.accounts.list()
    assert opened(answer) == "details"
    assert form(answer)["account"] == account.id
    assert account.name == account.display_name
    assert ">Test<" in answer.text
    assert str(account.stripe_id) in answer.text
    assert f"All {len(all_report_options())} reports available" in answer.text
    assert FULL not in answer.text
    assert app.datasets.list() == ()


def test_known_key_reuses_its_account(owner: Browser, app: App, at_stripe: None) -> None:
    for _ in range(2):
        form(owner.get(PLACE)).send(owner, go="next", account="new", key=FULL)
    assert len(app.accounts.list()) == 1


def test_rejected_key_shows_error_at_its_field(owner: Browser, app: App, at_stripe: None) -> None:
    key = "sk_test_nobodysKeyAtAll99"
    pairs = form(owner.get(PLACE)).filled({"go": "next", "key": key})
    answer = send(owner, PLACE, pairs, **{"hx-request": "true"})
    assert answer["hx-retarget"] == "#key-message"
    assert "Stripe rejected the key" in errors(answer)
    assert key not in answer.text
    page = send(owner, PLACE, pairs)
    assert "Stripe rejected the key" in errors(page)
    assert key not in page.text
    assert app.accounts.list() == ()


def test_all_reports_are_listed_with_missing_permissions(owner: Browser, app: App, sandbox: Sandbox) -> None:
    account = app.accounts.add("Narrow", RESTRICTED, api_base=sandbox.url)
    text = owner.get(f"{PLACE}?account={account.id}").text
    values = re.findall(r'name="report" value="(\w+)"', text)
    assert values == [one.key for one in all_report_options()]
    marked = re.findall(r"needs (rak_\w+)", text)
    assert "rak_event_read" in marked
    assert "rak_charge_read" not in marked


def test_changing_the_report_resets_its_options(owner: Browser, shop: Account) -> None:
    first = to_scheduling(owner, shop, "invoices", **{"option:status": "open", "column:customer_email": "hash"})
    back = form(first.send(owner, go="details"))
    assert back["option:status"] == "open"
    other = back.filled({"go": "report", "report": "balance"})
    answer = form(send(owner, PLACE, other))
    assert not any(name.startswith("option:") for name, _ in answer.pairs)
    assert answer["rows"] == "all"
    assert form(answer.send(owner, go="next"))["method"] == "append"


def test_preview_shows_rows_and_stores_nothing(owner: Browser, shop: Account, app: App) -> None:
    answer = to_details(owner, shop).send(owner, go="preview", report="customers", promoted="order_id")
    assert opened(answer) == "details"
    assert '<span class="column-type">VARCHAR</span>' in answer.text
    assert "cus_" in answer.text
    assert app.datasets.list() == ()
    assert not (app.settings.home / "counterfoil.duckdb").exists()


def test_preview_hashes_columns(owner: Browser, shop: Account) -> None:
    plain = to_details(owner, shop).send(owner, go="preview", report="customers")
    answer = to_details(owner, shop).send(owner, go="preview", report="customers", **{"column:email": "hash"})
    assert "@" in re.sub(r"<script.*?</script>", "", plain.text.split('id="preview"')[1])
    assert "@" not in answer.text.split('id="preview"')[1]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"report": ""}, "No report selected"),
        ({"report": "charges", "rows": "days", "days": "soon"}, "number of days"),
        ({"report": "charges", "rows": "between"}, "No date given"),
        (
            {"report": "charges", "rows": "between", "since": "2027-02-01", "until": "2027-01-01"},
            "2027-01-01 is not after",
        ),
        ({"report": "charges", "option:customer": "a b"}, "option customer: 'a b'"),
        ({"report": "charges", "column:currency": "out"}, "currency"),
    ],
)
def test_invalid_details_show_an_error_and_keep_the_input(
    owner: Browser, shop: Account, typed: dict[str, str], message: str
) -> None:
    answer = to_details(owner, shop).send(owner, go="next", **typed)
    assert opened(answer) == "details"
    assert message in errors(answer)
    assert {one for one in typed.items() if one[1]} <= set(form(answer).pairs)


def test_schedule_shows_next_runs_and_requests(owner: Browser, shop: Account) -> None:
    scheduling = to_scheduling(owner, shop)
    answer = scheduling.send(owner, go="times", unit="hours", n="6", zone="Europe/Berlin")
    forecast = answer.text.split('id="schedule-preview"')[1]
    assert "Every 6 hours" in forecast
    assert len(re.findall(r"<time datetime", forecast)) == 5
    assert "Mon 4 Jan 2027, 18:00" in forecast
    assert re.search(r"120 runs in 30 days, about \d+ requests? each", forecast)
    assert re.search(r"About \d+ requests a month", forecast)


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
def test_basic_and_advanced_schedules_are_saved(
    owner: Browser, shop: Account, app: App, typed: dict[str, str | list[str]], words: str
) -> None:
    naming = form(to_scheduling(owner, shop, "coupons").send(owner, go="next", zone="Europe/Berlin", **typed))
    naming.send(owner, go="save")
    (made,) = app.datasets.list()
    assert input_of(made.dataset.schedule).startswith(words)
    assert made.dataset.schedule.zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"unit": "minutes", "n": "5"}, "at least 15 minutes"),
        ({"way": "advanced", "words": "now and then"}, "'now and then'"),
        ({"zone": "Europe/Berln"}, "Europe/Berlin"),
        ({"method": "partition", "last": "many"}, "'many months'"),
        ({"method": "merge", "reread_days": "0"}, "interval: 0"),
        ({"attempts": "0"}, "attempts: 0"),
        ({"deadline": "x"}, "number of minutes"),
    ],
)
def test_invalid_scheduling_shows_an_error_and_keeps_the_input(
    owner: Browser, shop: Account, typed: dict[str, str], message: str
) -> None:
    answer = to_scheduling(owner, shop).send(owner, go="next", **typed)
    assert opened(answer) == "scheduling"
    assert message in errors(answer)
    assert set(typed.items()) <= set(form(answer).pairs)


def test_disabled_switch_stays_off(owner: Browser, shop: Account, app: App) -> None:
    naming = form(to_scheduling(owner, shop).send(owner, go="next", retry=()))
    assert naming["retry"] == ""
    form(naming.send(owner, go="scheduling")).send(owner, go="next")
    naming.send(owner, go="save")
    (made,) = app.datasets.list()
    assert made.dataset.retry.on is False


def test_proposals_follow_the_report_until_edited(owner: Browser, shop: Account) -> None:
    naming = to_naming(owner, shop)
    assert (naming["name"], naming["table"]) == ("Charges", "charges")
    assert naming["description"].startswith("Each attempt")
    details = form(naming.send(owner, go="details", table="mine"))
    scheduling = form(details.send(owner, go="next", report="refunds"))
    again = form(scheduling.send(owner, go="next"))
    assert (again["name"], again["table"]) == ("Refunds", "mine")


def test_saving_creates_the_dataset(owner: Browser, shop: Account, app: App) -> None:
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


def test_options_of_merge_are_saved_and_shown_again(owner: Browser, shop: Account, app: App) -> None:
    chosen = {"method": "merge", "drop_deleted": "yes", "history": "yes", "reread_days": "30"}
    naming = form(to_scheduling(owner, shop).send(owner, go="next", **chosen))
    naming.send(owner, go="save")
    (made,) = app.datasets.list()
    assert made.dataset.merge == Merge(deleted="drop", history=True, reread_days=30)
    edit = edit_form(owner, made.dataset.id, "scheduling")
    assert (edit["drop_deleted"], edit["history"], edit["reread_days"]) == ("yes", "yes", "30")
    edit.send(owner, go="save", drop_deleted=(), history=())
    assert app.datasets.get(made.dataset.id).merge == Merge(reread_days=30)


def test_save_and_create_another_keeps_the_account(owner: Browser, shop: Account) -> None:
    answer = to_naming(owner, shop).send(owner, go="save_new")
    after = owner.follow(answer)
    assert "Charges is saved" in after.text
    assert form(after)["account"] == shop.id
    assert opened(after) == "details"


def test_save_and_run_redirects_to_the_run(owner: Browser, shop: Account, app: App) -> None:
    answer = to_naming(owner, shop, "coupons").send(owner, go="save_run")
    (run,) = app.runs.list()
    assert answer["location"] == f"/runs/{run.id}"
    assert run.trigger == "manual"


def test_taken_name_or_table_is_rejected(owner: Browser, shop: Account, app: App) -> None:
    to_naming(owner, shop).send(owner, go="save")
    second = to_naming(owner, shop)
    assert (second["name"], second["table"]) == ("Charges of Shop", "charges_2")
    answer = second.send(owner, go="save", name="Charges")
    assert "'Charges' already exists" in errors(answer)
    answer = second.send(owner, go="save", table="CHARGES")
    assert codes(answer) == ["invalid_table"]
    assert "'Charges'" in errors(answer)
    answer = second.send(owner, go="save", to="parquet:///x", method="merge")
    assert "merge" in errors(answer)
    assert len(app.datasets.list()) == 1


def test_first_incomplete_pane_is_opened(owner: Browser, shop: Account) -> None:
    answer = send(owner, PLACE, [("account", shop.id), ("go", "save"), ("pane", "naming"), ("reached", "naming")])
    assert opened(answer) == "details"
    answer = send(owner, PLACE, [("account", "missing"), ("go", "naming"), ("pane", "details"), ("report", "charges")])
    assert opened(answer) == "credentials"
    assert codes(answer) == ["account_not_found"]


def test_going_back_keeps_invalid_input(owner: Browser, shop: Account) -> None:
    back = to_scheduling(owner, shop).send(owner, go="details", n="many", words="<script>")
    assert opened(back) == "details"
    pairs = form(back).pairs
    assert ("n", "many") in pairs
    assert ("words", "<script>") in pairs
    assert '<script>"' not in back.text


def test_dataset_after_another_has_no_schedule(owner: Browser, shop: Account, app: App) -> None:
    to_naming(owner, shop).send(owner, go="save")
    (first,) = app.datasets.list()
    naming = form(to_scheduling(owner, shop, "refunds").send(owner, go="next", when="after", after=first.dataset.id))
    naming.send(owner, go="save")
    made = next(one for one in app.datasets.list() if one.dataset.report == "refunds")
    assert made.after == "Charges"
    assert made.dataset.next_due_at is None


def test_key_with_new_permissions_is_checked_again_in_the_form(owner: Browser, app: App) -> None:
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
def test_saving_without_edits_changes_nothing(owner: Browser, shop: Account, app: App, words: str) -> None:
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


def test_only_edited_fields_are_changed(owner: Browser, shop: Account, app: App) -> None:
    made = app.datasets.create("Charges", account="Shop", report="charges").dataset
    form = edit_form(owner, made.id, "scheduling")
    form.send(owner, go="save", when="every", unit="hours", n="4", report="refunds")
    changed = app.datasets.get(made.id)
    assert (input_of(changed.schedule), changed.report) == ("every 4 hours", "charges")
    refused = edit_form(owner, made.id, "naming").send(owner, go="save", name="")
    assert "name of a dataset" in errors(refused)
    assert form_of(refused.text, f"/datasets/{made.id}/edit")["name"] == ""
    edit_form(owner, made.id, "naming").send(owner, go="save", name="All charges")
    assert app.datasets.get(made.id).name == "All charges"


def test_editing_keeps_schedule_and_predecessor(owner: Browser, shop: Account, app: App) -> None:
    first = app.datasets.create("Charges", account="Shop", report="charges").dataset
    daily = read_input("daily at 06:00", "UTC")
    both = app.datasets.create("Refunds", account="Shop", report="refunds", after=first.id, schedule=daily).dataset
    edit_form(owner, both.id, "scheduling").send(owner, go="save", times="07:00")
    changed = app.datasets.get(both.id)
    assert (changed.after, input_of(changed.schedule)) == (first.id, "daily at 07:00")


@pytest.mark.parametrize("go", ["next", "report", "times", "preview", "check", "naming", "save", "save_run"])
def test_hostile_input_in_any_field_is_harmless(owner: Browser, shop: Account, app: App, go: str) -> None:
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


def test_additional_destinations_are_saved_and_shown_again(app: App, owner: Browser, shop: Account) -> None:
    naming = to_naming(owner, shop)
    bad = naming.send(owner, go="save", more="duckdb:///b.duckdb\nbooks")
    assert "'books'" in errors(bad)
    naming.send(owner, go="save", more="\n duckdb:///b.duckdb \n")
    (made,) = app.datasets.list()
    assert [target.url for target in made.dataset.targets][1:] == ["duckdb:///b.duckdb"]
    again = form_of(
        owner.get(f"/datasets/{made.dataset.id}/edit?pane=naming").text, f"/datasets/{made.dataset.id}/edit"
    )
    assert again["more"].strip() == "duckdb:///b.duckdb"
    again.send(owner, go="save", more="")
    assert len(app.datasets.get(made.dataset.id).targets) == 1
