"""The clocks of Stripe and of this machine: runs use the earlier one, report a difference, and never move back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from counterfoil.errors import ClockError
from counterfoil.runs.clocks import MARGIN_SECONDS, TOLERANCE_SECONDS, Clocks
from counterfoil.state.datasets import Merge

from .conftest import Center

NOON = 1_793_534_400
HOUR = 3600


def bookmark(center: Center) -> Mapping[str, Any]:
    """The bookmark of the dataset charges."""
    found = center.datasets.get("charges").bookmark
    assert found is not None
    return found


def local_now(center: Center) -> int:
    """This machine's clock, in Unix seconds."""
    return int(center.clock.at.timestamp())


@pytest.mark.parametrize("difference", [-HOUR, -301, -300, 0, 300, 301, HOUR])
def test_earlier_clock_is_used_and_a_difference_over_five_minutes_is_a_warning(difference: int) -> None:
    clocks = Clocks(stripe=NOON + difference, ours=NOON)
    assert clocks.earlier == min(NOON, NOON + difference)
    assert clocks.difference == difference
    assert len(clocks.warnings) == (abs(difference) > TOLERANCE_SECONDS)


@pytest.mark.parametrize(
    ("stripe", "ours", "fails"),
    [(0, 0, False), (-300, 0, False), (0, -300, False), (-301, 0, True), (0, -301, True), (-301, HOUR, True)],
)
def test_bookmark_does_not_move_back_by_more_than_five_minutes(stripe: int, ours: int, fails: bool) -> None:
    clocks = Clocks(NOON + stripe, NOON + ours)
    clocks.check_bookmark(None, "Charges")
    if not fails:
        clocks.check_bookmark({"as_of": NOON - MARGIN_SECONDS}, "Charges")
        return
    with pytest.raises(ClockError) as caught:
        clocks.check_bookmark({"as_of": NOON - MARGIN_SECONDS}, "Charges")
    assert "counterfoil datasets reload Charges" in (caught.value.hint or "")


def test_objects_created_while_the_clock_at_stripe_was_ahead_are_not_lost(center: Center) -> None:
    center.dataset("charges", method="merge", merge=Merge())
    center.stripe.control("advance", seconds=HOUR)
    run = center.run("charges")
    assert run.plan["as_of"] == local_now(center) - MARGIN_SECONDS
    assert any("clocks differ" in warning for warning in run.warnings)
    assert bookmark(center)["as_of"] == local_now(center) - MARGIN_SECONDS
    center.clock.advance(minutes=60)
    # Created in the hour that the wrong clock at Stripe had skipped.
    made = center.stripe.control("objects", kind="charge", created=center.now() - HOUR // 2)
    run = center.run("charges")
    assert (run.status, run.plan["whole"], run.warnings) == ("succeeded", False, ())
    assert made["id"] in center.ids("charges")


def test_local_clock_that_is_ahead_only_causes_a_warning(center: Center) -> None:
    center.dataset("charges")
    center.clock.advance(hours=1)
    run = center.run("charges")
    assert (run.status, run.plan["as_of"]) == ("succeeded", center.now() - MARGIN_SECONDS)
    assert len(run.warnings) == 1
    (line,) = (line for line in center.runs.lines(run.id) if line.level == "warning")
    assert line.fields == {"clock_difference_seconds": center.now() - local_now(center)}


@pytest.mark.parametrize("method", ["replace", "merge"])
def test_run_fails_after_the_clock_went_back_until_a_reload(center: Center, method: str) -> None:
    center.dataset("charges", method=method)
    center.run("charges")
    before, table = bookmark(center), center.snapshot("charges")
    center.clock.advance(minutes=-30)
    center.asked()
    run = center.run("charges")
    assert (run.status, (run.error or {})["kind"]) == ("failed", "ClockError")
    assert "counterfoil datasets reload charges" in (run.error or {})["hint"]
    assert center.asked() == {"GET /v1/account": 1}
    assert (bookmark(center), center.snapshot("charges")) == (before, table)
    center.datasets.set_bookmark("charges", None)  # datasets reload
    run = center.run("charges")
    assert (run.status, run.plan["whole"]) == ("succeeded", True)
    assert bookmark(center)["as_of"] == local_now(center) - MARGIN_SECONDS
    assert center.run("charges").status == "succeeded"


def test_reload_recovers_a_table_with_history_from_a_bookmark_in_the_future(center: Center) -> None:
    center.dataset("charges", method="merge", merge=Merge(history=True))
    center.run("charges")
    center.datasets.set_bookmark("charges", {**bookmark(center), "as_of": local_now(center) + HOUR})
    assert (center.run("charges").error or {})["kind"] == "ClockError"
    center.datasets.set_bookmark("charges", None)
    assert center.run("charges").status == "succeeded"
    assert center.ids("charges") == center.truth("charges")
