"""Nodes: heartbeats show which processes are alive, and each dead one is reported to one other process."""

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


def test_node_with_recent_heartbeat_is_alive(nodes: Nodes, clock: StandingClock) -> None:
    assert nodes.alive() == {"serve-a-1-x", "run-b-2-y"}
    assert nodes.alive("serve") == {"serve-a-1-x"}
    clock.advance(seconds=59)
    assert nodes.beat("serve-a-1-x", "serve")
    clock.advance(seconds=2)
    assert nodes.alive() == {"serve-a-1-x"}


def test_left_silent_and_known_dead_nodes_are_reported_once(nodes: Nodes, clock: StandingClock) -> None:
    nodes.beat("serve-c-3-z", "serve")
    assert dead(nodes) == set()
    assert dead(nodes, "run-b-2-y", "never-was-0-0") == {"run-b-2-y"}
    nodes.leave("serve-c-3-z")
    clock.advance(seconds=61)
    assert dead(nodes) == {"serve-a-1-x", "serve-c-3-z"}
    assert dead(nodes) == set()


def test_heartbeat_revives_node_and_reports_that_it_was_dead(nodes: Nodes, clock: StandingClock) -> None:
    clock.advance(seconds=61)
    dead(nodes)
    assert not nodes.beat("serve-a-1-x", "serve")
    assert nodes.beat("serve-a-1-x", "serve")
    assert nodes.alive() == {"serve-a-1-x"}


def test_dead_node_stays_after_failed_takeover(nodes: Nodes) -> None:
    nodes.leave("run-b-2-y")
    with pytest.raises(KeyError), nodes.dead():
        raise KeyError
    assert dead(nodes) == {"run-b-2-y"}


def test_concurrent_checks_do_not_report_same_dead_node(nodes: Nodes, settings: Settings, clock: StandingClock) -> None:
    if settings.state_url is None:
        pytest.skip("SQLite allows one writer at a time")
    nodes.leave("run-b-2-y")
    with open_state(settings, clock=clock) as other, nodes.dead() as found:
        assert found == {"run-b-2-y"}
        nodes_of_other = Nodes(other)
        assert dead(nodes_of_other) == set()
        assert nodes_of_other.beat("serve-a-1-x", "serve"), "heartbeats do not wait for the lock"
