"""Fixtures and helpers: datasets of a simulated company, and their checks."""

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

__all__ = ["ALL", "SCALE", "Center", "center", "cheap", "failures", "make_center", "stripe", "thorough"]

SCALE = 0.05
Named = dict[tuple[str, str], Check]
ALL = ThoroughOptions(recount=Recount(windows=None), payouts=3)
#: Deep checks in families of cheap checks.
_DEEP = {("coverage", "contents")}


@pytest.fixture
def stripe() -> Iterator[Sandbox]:
    """A simulated Stripe with about 150 charges."""
    with Sandbox(scale=SCALE) as sandbox:
        yield sandbox


@contextmanager
def subject(center: Center, dataset: str) -> Iterator[tuple[Subject, Client]]:
    """The table and archive of the dataset's last run, and a client for requests to Stripe."""
    found = center.datasets.get(dataset)
    run = center.runs.get((found.bookmark or {})["run"])
    client = Client(KEY, api_base=center.stripe.url, settings=center.settings)
    (target,) = found.targets
    destination = open_destination(target.url, relative_to=center.settings.home, settings=center.settings)
    try:
        with closing(destination), destination.holding(), scratch_of(center.settings, run.id) as scratch:
            yield subject_of(center.records, found, run, target, destination, scratch=scratch), client
    finally:
        wait_for(client.close())


def named(checks: list[Check]) -> Named:
    return {(check.family, check.name): check for check in checks}


def cheap(center: Center, dataset: str) -> Named:
    """The cheap checks, with the limits that apply after a run."""
    with subject(center, dataset) as (found, client):
        requests = sum(center.runs.get(found.run).requests.values())
        return named(cheap_checks(found, StripeRequests(client, requests=affordable(requests))))


def thorough(center: Center, dataset: str, deep: ThoroughOptions = ALL) -> Named:
    """All checks."""
    with subject(center, dataset) as (found, client):
        return named(thorough_checks(found, StripeRequests(client), deep))


def both(center: Center, dataset: str) -> tuple[Named, Named]:
    """The cheap checks and all checks. Checks that both contain are made once."""
    with subject(center, dataset) as (found, client):
        deep = named(thorough_checks(found, StripeRequests(client), ALL))
        light = named(referenced(found, None))
        same = {name: check for name, check in deep.items() if name[0] in ("coverage", "keys", "balance")}
        return {name: check for name, check in (same | light).items() if name not in _DEEP}, deep


def failures(found: Named) -> list[str]:
    """The failed checks, named as in docs/proof.md."""
    return [f"{family}: {name}" for (family, name), check in found.items() if check.result == "FAIL"]
