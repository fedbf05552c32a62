"""`run` and `pull` with `--allow-shrink`: a run that the size check stopped resumes from its archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from counterfoil.runs.loads.size_check import TABLE_WOULD_SHRINK
from tests.runs.scripted_stripe import ScriptedStripe, scripted_stripe

from .center import Center

REFUNDS = "/v1/refunds"


def refunds(count: int) -> list[dict[str, Any]]:
    return [{"object": "refund", "id": f"re_{n:05}", "created": 1_700_000_000 + n} for n in reversed(range(count))]


@pytest.fixture
def stripe() -> Iterator[ScriptedStripe]:
    with scripted_stripe({REFUNDS: refunds(150)}) as stripe:
        yield stripe


@pytest.fixture
def center(tmp_path: Path, stripe: ScriptedStripe) -> Iterator[Center]:
    opened = Center(tmp_path / "home", stripe.url)
    yield opened
    opened.close()


def test_stopped_run_continues_from_its_archive(center: Center, stripe: ScriptedStripe) -> None:
    center.add("Refunds", "refunds", method="replace")
    assert center.do("run", "Refunds").code == 0
    stripe.rows[REFUNDS] = refunds(20)
    stopped = center.do("run", "Refunds", "--json")
    assert stopped.code == 1
    assert stopped.json[0]["error"]["code"] == TABLE_WOULD_SHRINK
    (listed,) = center.do("datasets", "list", "--json").json
    assert (listed["status"], listed["attention"]["cause"]) == ("attention", TABLE_WOULD_SHRINK)
    assert center.rows("SELECT count(*) FROM refunds") == [(150,)]
    requests = stripe.asked.copy()
    accepted = center.do("run", "Refunds", "--allow-shrink", "--json")
    assert accepted.code == 0, accepted.err
    assert accepted.json[0]["id"] == stopped.json[0]["id"]
    assert stripe.asked[REFUNDS] == requests[REFUNDS]
    assert center.rows("SELECT count(*) FROM refunds") == [(20,)]


def test_allow_shrink_applies_to_a_new_run_too(center: Center, stripe: ScriptedStripe) -> None:
    center.add("Refunds", "refunds", method="replace")
    assert center.do("run", "Refunds").code == 0
    stripe.rows[REFUNDS] = refunds(3)
    assert center.do("run", "Refunds", "--allow-shrink").code == 0
    assert center.rows("SELECT count(*) FROM refunds") == [(3,)]


def test_pull_continues_from_its_pages(
    center: Center, stripe: ScriptedStripe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("pull", "refunds", "--to", f"duckdb:///{center.home}/acme.duckdb")
    environment = {"STRIPE_API_KEY": "sk_test_demo", "STRIPE_API_BASE": stripe.url}
    assert center.do(*arguments, **environment).code == 0
    stripe.rows[REFUNDS] = refunds(20)
    stopped = center.do(*arguments, **environment)
    assert stopped.code == 1
    assert "--resume --allow-shrink" in stopped.err
    requests = stripe.asked.copy()
    assert center.do(*arguments, "--resume", "--allow-shrink", **environment).code == 0
    assert stripe.asked[REFUNDS] == requests[REFUNDS]
    assert center.rows("SELECT count(*) FROM refunds") == [(20,)]
