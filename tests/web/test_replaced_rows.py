"""An edit after which the next run would replace rows of the table is saved only with confirmation."""

from __future__ import annotations

from counterfoil import connect
from counterfoil.app.app import App
from counterfoil.app.values import Choice
from counterfoil.errors import REPLACES_ROWS
from stripe_sandbox import Sandbox
from tests.web.conftest import FULL, Site
from tests.web.forms import codes, form_of


def test_replacing_rows_requires_confirmation(site: Site, app: App, sandbox: Sandbox) -> None:
    with connect(FULL, api_base=sandbox.url) as connection:
        connection.pull("coupons", to=f"duckdb:////{app.settings.home}/counterfoil.duckdb")
    account = app.accounts.add("Shop", FULL, api_base=sandbox.url).id
    few = Choice(last_days=1)
    made = app.datasets.create("Few", account=account, report="coupons", table="few", choice=few).dataset
    owner, place = site.owner(), f"/datasets/{made.id}/edit"
    naming = form_of(owner.get(f"{place}?pane=naming").text, place)

    refused = naming.send(owner, go="save", table="coupons")
    assert codes(refused) == [REPLACES_ROWS]
    assert app.datasets.get(made.id).targets[0].table == "few"

    again = form_of(refused.text, place)
    assert again["table"] == "coupons"
    assert "overwrite" in again.shown
    assert again.send(owner, go="save", overwrite="yes")["location"] == f"/datasets/{made.id}/settings"
    assert app.datasets.get(made.id).targets[0].table == "coupons"
