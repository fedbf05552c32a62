"""Tokens are kept by their hashes, found by them, and end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from counterfoil.errors import NameTaken, SettingsError
from counterfoil.state import State
from counterfoil.state.runs import Runs
from counterfoil.state.tokens import Tokens
from tests.state.conftest import MakeDataset, StandingClock


def test_a_token_is_found_by_its_hash_and_works_until_it_expires(state: State, clock: StandingClock) -> None:
    tokens = Tokens(state)
    made = tokens.add(" nightly ", "h1", "read", clock.at + timedelta(days=1))
    assert tokens.find("h1") == made
    assert (made.name, made.works(clock.at)) == ("nightly", True)
    assert not made.works(clock.advance(days=1))
    assert tokens.find("h2") is None


def test_a_use_is_kept(state: State, clock: StandingClock) -> None:
    tokens = Tokens(state)
    made = tokens.add("nightly", "h1", "full", None)
    tokens.used(made.id)
    assert tokens.list()[0].last_used_at == clock.at


def test_a_revoked_token_gives_its_name_free_and_stays_in_the_list(state: State, clock: StandingClock) -> None:
    tokens = Tokens(state)
    first = tokens.add("nightly", "h1", "full", None)
    with pytest.raises(NameTaken):
        tokens.add("nightly", "h2", "full", None)
    assert tokens.revoke("nightly").revoked_at == clock.at
    clock.advance(seconds=1)
    second = tokens.add("nightly", "h2", "full", None)
    assert [one.id for one in tokens.list()] == [second.id, first.id]
    assert tokens.revoke(second.id).id == second.id
    with pytest.raises(SettingsError, match="revoked already"):
        tokens.revoke("nightly")
    with pytest.raises(SettingsError, match="There is no token 'nights'"):
        tokens.revoke("nights")


def test_runs_behind_a_run_are_those_that_are_older_also_within_one_moment(
    runs: Runs, make_dataset: MakeDataset, clock: StandingClock
) -> None:
    for number in range(6):
        runs.create(make_dataset(f"Number {number}").id, "manual")
        clock.advance(seconds=number % 2)
    every = runs.list()
    paged = [runs.list(limit=2), *(runs.list(limit=2, before=every[at]) for at in (1, 3))]
    assert [run for page in paged for run in page] == list(every)
    assert runs.list(before=every[-1]) == ()
