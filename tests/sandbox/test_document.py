from __future__ import annotations

import re
from pathlib import Path

from stripe_sandbox.kinds import KINDS
from stripe_sandbox.life.happenings import NAMES as ACTIVITIES
from stripe_sandbox.wire.faults import NAMES
from tests.sandbox.conftest import Client

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/sandbox.md").read_text()


def test_every_fault_and_list_is_documented() -> None:
    assert [name for name in NAMES if f"`{name}`" not in DOCUMENT] == []
    assert [kind.path for kind in KINDS if f"`{kind.path.removeprefix('/v1/')}`" not in DOCUMENT] == []


def test_every_kind_of_activity_is_documented() -> None:
    table = DOCUMENT.partition("## Life")[2].partition("## Controls")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(ACTIVITIES)


def test_documented_controls_are_complete(own: Client) -> None:
    posts = set(re.findall(r"`POST /_sandbox/(\w+)`", DOCUMENT))
    assert posts == set(own.sandbox.ask("state")["controls"])
    for name in ("truth/balance", "truth/account", "requests", "state", "life"):
        assert own.sandbox.ask(name)


def test_reset_restores_all_controls(own: Client) -> None:
    own.sandbox.control("limits", rps=0.001)
    own.sandbox.control("faults", fault="500", count=None)
    own.sandbox.control("recipients", mode="list")
    own.sandbox.control("latency", ms=5000)
    own.sandbox.control("reset")
    assert [own.send("GET", "/v1/charges").status for _ in range(3)] == [200] * 3
    assert own.send("GET", "/v1/recipients", headers={"Stripe-Version": "2020-08-27"}).status == 404
