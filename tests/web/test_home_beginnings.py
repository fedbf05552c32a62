"""The Data Center with nothing in it, with an account alone, and with more than one page of datasets."""

from __future__ import annotations

import pytest

from counterfoil.app import App
from tests.web.browser import Browser
from tests.web.conftest import Site
from tests.web.samples import Samples
from tests.web.test_home import names


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.owner()


def test_without_an_account_the_page_teaches_to_connect_one_or_to_try_the_sandbox(browser: Browser) -> None:
    for path in ("/", "/accounts"):
        text = browser.get(path).text
        assert "Connect a Stripe account" in text
        assert 'href="/accounts/new"' in text
        assert "Try with the sandbox" in text
        assert "counterfoil demo" in text


def test_with_an_account_alone_the_page_teaches_to_make_a_dataset(app: App, browser: Browser) -> None:
    made = Samples(app.settings)
    made.account("Sandbox")
    made.app.close()
    text = browser.get("/").text
    assert "Make the first dataset" in text
    assert 'href="/datasets/new"' in text


def test_many_datasets_come_in_pages(app: App, browser: Browser) -> None:
    made = Samples(app.settings)
    account = made.account("Sandbox")
    for number in range(52):
        made.dataset(f"Number {number:02}", account, schedule="manual")
    made.app.close()
    assert len(names(browser.get("/").text)) == 50
    assert names(browser.get("/?page=2").text) == ["Number 50", "Number 51"]
