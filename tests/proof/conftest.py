"""Datasets of an invented company that are proved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from counterfoil.destinations import open_destination
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.proof.check_selection import ThoroughOptions, affordable, cheap_checks, referenced, thorough_checks
from counterfoil.proof.recount import Recount
from counterfoil.proof.stripe_requests import StripeRequests
from counterfoil.proof.subject import Subject
from counterfoil.runs.checks.proof_context import scratch_of, subject_of
from counterfoil.state.check import Check
from counterfoil.stripe.client import Client
from stripe_sandbox import Sandbox
from tests.runs.conftest import KEY, Center, center, make_center

__all__ = ["ALL", "SCALE", "Center", "center", "checked", "failures", "make_center", "proved", "stripe"]

SCALE = 0.05
Named = dict[tuple[str, str], Check]
ALL = ThoroughOptions(recount=Recount(windows=None), payouts=3)
#: Checks of cheap families that are deep all the same.
_DEEP = {("coverage", "contents")}


@pytest.fixture
def stripe() -> Iterator[Sandbox]:
    """Of some 150 charges."""
    with Sandbox(scale=SCALE) as sandbox:
        yield sandbox


@contextmanager
def subject(center: Center, dataset: str) -> Iterator[tuple[Subject, Client]]:
    """What the dataset's last run left, and a client to ask Stripe with."""
    found = center.datasets.get(dataset)
    run = center.runs.get((found.bookmark or {})["run"])
    client = Client(KEY, api_base=center.stripe.url, settings=center.settings)
    (target,) = found.targets
    place = open_destination(target.url, relative_to=center.settings.home, settings=center.settings)
    try:
        with closing(place), place.holding(), scratch_of(center.settings, run.id) as scratch:
            yield subject_of(center.records, found, run, target, place, scratch=scratch), client
    finally:
        wait_for(client.close())


def named(checks: list[Check]) -> Named:
    return {(check.family, check.name): check for check in checks}


def checked(center: Center, dataset: str) -> Named:
    """The cheap checks, as a run makes them."""
    with subject(center, dataset) as (what, client):
        requests = sum(center.runs.get(what.run).requests.values())
        return named(cheap_checks(what, StripeRequests(client, requests=affordable(requests))))


def proved(center: Center, dataset: str, deep: ThoroughOptions = ALL) -> Named:
    """Every check."""
    with subject(center, dataset) as (what, client):
        return named(thorough_checks(what, StripeRequests(client), deep))


def both(center: Center, dataset: str) -> tuple[Named, Named]:
    """The cheap checks, and every one; what is the same in both is made once."""
    with subject(center, dataset) as (what, client):
        deep = named(thorough_checks(what, StripeRequests(client), ALL))
        light = named(referenced(what, None))
        same = {name: check for name, check in deep.items() if name[0] in ("coverage", "keys", "balance")}
        return {name: check for name, check in (same | light).items() if name not in _DEEP}, deep


def failures(found: Named) -> list[str]:
    """The names of checks that failed, as the document tells them."""
    return [f"{family}: {name}" for (family, name), check in found.items() if check.result == "FAIL"]
