"""Pages of a dataset whose destination does not support queries."""

from __future__ import annotations

import pytest

from counterfoil.app.app import App
from counterfoil.state.dataset import Target
from counterfoil.state.run import Counts
from tests import domo
from tests.domo_api import SECRET
from tests.web.conftest import Site, StandingClock
from tests.web.forms import codes
from tests.web.tabled import dataset, ran


def test_pages_work_without_query_support(
    app: App, site: Site, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOMO_CLIENT_SECRET", SECRET)
    owner = site.owner()
    with domo.running() as server:
        server.make("charges", [{"id": "ch_1"}], by_stream=True)
        made = dataset(app)
        made = app.records.datasets.edit(made.id, targets=(Target(url=server.url(), table="charges"),))
        ran(app, made, clock, Counts(read=1))
        for path in ("", "/schema", "/history", "/proof", "/settings"):
            assert owner.get(f"/datasets/{made.id}{path}").status == 200, path
        data = owner.get(f"/datasets/{made.id}/data")
        assert codes(data) == ["unsupported_queries"]
        assert "second destination" in data.text
        assert owner.get("/ask").status == 200
        assert SECRET not in data.text
