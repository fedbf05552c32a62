"""Tokens: stored as hashes, found by them, expired and revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from counterfoil.errors import NameTaken, SettingsError
from counterfoil.state import State
from counterfoil.state.runs import Runs
from counterfoil.state.tokens import Tokens
from tests.state.conftest import MakeDataset, StandingClock


def test_token_is_found_by_hash_and_valid_until_expiry(state: State, clock: StandingClock) -> None:
    tokens = Tokens(state)
    made = tokens.add(" nightly ", "h1", "read", clock.at + timedelta(days=1))
    assert tokens.find("h1") == made
    assert (made.name, made.works(clock.at)) == ("nightly", True)
    assert not made.works(clock.advance(days=1))
    assert tokens.find("h2") is None


def test_last_use_is_stored(state: State, clock: StandingClock) -> None:
    tokens = Tokens(state)
    made = tokens.add("nightly", "h1", "full", None)
    tokens.used(made.id)
    assert tokens.list()[0].last_used_at == clock.at


def test_revoked_token_releases_its_name_and_stays_listed(state: State, clock: StandingClock) -> None:
    tokens = Tokens(state)
    first = tokens.add("nightly", "h1", "full", None)
    with pytest.raises(NameTaken):
        tokens.add("nightly", "h2", "full", None)
    assert tokens.revoke("nightly").revoked_at == clock.at
    clock.advance(seconds=1)
    second = tokens.add("nightly", "h2", "full", None)
    assert [one.id for one in tokens.list()] == [second.id, first.id]
    assert tokens.revoke(second.id).id == second.id
    with pytest.raises(SettingsError, match="'nightly'") as caught:
        tokens.revoke("nightly")
    assert caught.value.code == "token_revoked"
    with pytest.raises(SettingsError, match="'nights'") as caught:
        tokens.revoke("nights")
    assert caught.value.code == "token_not_found"


def test_runs_before_a_run_are_older_even_at_same_instant(
    runs: Runs, make_dataset: MakeDataset, clock: StandingClock
) -> None:
    for number in range(6):
        runs.create(make_dataset(f"Number {number}").id, "manual")
        clock.advance(seconds=number % 2)
    every = runs.list()
    paged = [runs.list(limit=2), *(runs.list(limit=2, before=every[at]) for at in (1, 3))]
    assert [run for page in paged for run in page] == list(every)
    assert runs.list(before=every[-1]) == ()
