"""Processes of several machines: who is heard of is alive, and each that is dead is given to one other."""

from __future__ import annotations

import pytest

from counterfoil.settings import Settings
from counterfoil.state import State, open_state
from counterfoil.state.nodes import Nodes
from tests.state.conftest import StandingClock


@pytest.fixture
def nodes(state: State) -> Nodes:
    made = Nodes(state)
    made.beat("serve-a-1-x", "serve")
    made.beat("run-b-2-y", "run")
    return made


def dead(nodes: Nodes, *known: str) -> set[str]:
    with nodes.dead(known) as found:
        return found


def test_who_is_heard_of_is_alive(nodes: Nodes, clock: StandingClock) -> None:
    assert nodes.alive() == {"serve-a-1-x", "run-b-2-y"}
    assert nodes.alive("serve") == {"serve-a-1-x"}
    clock.advance(seconds=59)
    assert nodes.beat("serve-a-1-x", "serve")
    clock.advance(seconds=2)
    assert nodes.alive() == {"serve-a-1-x"}


def test_who_left_fell_silent_or_is_known_to_be_dead_is_given_once(nodes: Nodes, clock: StandingClock) -> None:
    nodes.beat("serve-c-3-z", "serve")
    assert dead(nodes) == set()
    assert dead(nodes, "run-b-2-y", "never-was-0-0") == {"run-b-2-y"}
    nodes.leave("serve-c-3-z")
    clock.advance(seconds=61)
    assert dead(nodes) == {"serve-a-1-x", "serve-c-3-z"}
    assert dead(nodes) == set()


def test_who_was_taken_for_dead_is_told_so_and_is_alive_again(nodes: Nodes, clock: StandingClock) -> None:
    clock.advance(seconds=61)
    dead(nodes)
    assert not nodes.beat("serve-a-1-x", "serve")
    assert nodes.beat("serve-a-1-x", "serve")
    assert nodes.alive() == {"serve-a-1-x"}


def test_whose_work_could_not_be_taken_up_stays(nodes: Nodes) -> None:
    nodes.leave("run-b-2-y")
    with pytest.raises(KeyError), nodes.dead():
        raise KeyError
    assert dead(nodes) == {"run-b-2-y"}


def test_two_that_look_at_once_are_not_given_the_same(nodes: Nodes, settings: Settings, clock: StandingClock) -> None:
    if settings.state_url is None:
        pytest.skip("in SQLite one process looks at a time")
    nodes.leave("run-b-2-y")
    with open_state(settings, clock=clock) as other, nodes.dead() as found:
        assert found == {"run-b-2-y"}
        nodes_of_other = Nodes(other)
        assert dead(nodes_of_other) == set()
        assert nodes_of_other.beat("serve-a-1-x", "serve"), "nobody waits for it"
