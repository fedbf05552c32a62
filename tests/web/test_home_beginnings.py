"""The Data Center without accounts, without datasets, and with more than one page of datasets."""

from __future__ import annotations

import pytest

from counterfoil.app.app import App
from counterfoil.errors import SettingsError
from stripe_sandbox import Sandbox
from tests.web.browser import Browser
from tests.web.conftest import FULL, MakeSite, Site
from tests.web.samples import Samples
from tests.web.test_home import names


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.owner()


def test_page_without_accounts_offers_connection_and_sandbox(browser: Browser) -> None:
    for path in ("/", "/accounts"):
        text = browser.get(path).text
        assert "Connect a Stripe account" in text
        assert 'href="/accounts/new"' in text
        assert "Try it with a simulated Stripe" in text
        assert "counterfoil demo" in text
    assert browser.post("/accounts/sandbox").status == 404


def test_sandbox_is_connected_once_and_opens_the_form_of_a_dataset(
    app: App, make_site: MakeSite, sandbox: Sandbox
) -> None:
    browser = make_site(sandbox=lambda: (sandbox.url, FULL)).owner()
    assert 'action="/accounts/sandbox"' in browser.get("/").text
    place = browser.post("/accounts/sandbox")["location"]
    (account,) = app.accounts.list()
    assert (account.name, account.status) == ("Sandbox", "ok")
    assert place == f"/datasets/new?account={account.id}"
    assert browser.post("/accounts/sandbox")["location"] == place
    assert len(app.accounts.list()) == 1


def test_error_of_the_sandbox_is_shown(make_site: MakeSite) -> None:
    def start() -> tuple[str, str]:
        raise SettingsError("port 12111 is unavailable", hint="Use another port.")

    answer = make_site(sandbox=start).owner().post("/accounts/sandbox")
    assert answer.status == 400
    assert ">Port 12111 is unavailable<" in answer.text


def test_page_without_datasets_offers_a_new_dataset(app: App, browser: Browser) -> None:
    made = Samples(app.settings)
    made.account("Sandbox")
    made.app.close()
    text = browser.get("/").text
    assert "Create your first dataset" in text
    assert 'href="/datasets/new"' in text


def test_long_list_is_paginated(app: App, browser: Browser) -> None:
    made = Samples(app.settings)
    account = made.account("Sandbox")
    for number in range(52):
        made.dataset(f"Number {number:02}", account, schedule="manual")
    made.app.close()
    assert len(names(browser.get("/").text)) == 50
    assert names(browser.get("/?page=2").text) == ["Number 50", "Number 51"]
