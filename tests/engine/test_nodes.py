"""Detection of dead processes by their file locks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from counterfoil.engine.nodes import Node

HOLDER = """
import sys, time
from pathlib import Path
from counterfoil.engine.nodes import Node
node = Node(Path(sys.argv[1]))
node.join()
print(node.id, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_killed_process_is_dead_and_a_running_one_is_not(other: subprocess.Popen[str], tmp_path: Path) -> None:
    assert other.stdout is not None
    assert other.stdin is not None
    with other, other.stdout, other.stdin:
        name = other.stdout.readline().strip()
        node = Node(tmp_path)
        node.join()
        with node.dead({name, node.id}, unknown=True) as dead:
            assert dead == set()
        assert node.others() == 1

        os.kill(other.pid, signal.SIGKILL)
        other.wait(10)

        assert node.others() == 0
        with node.dead({name, node.id}, unknown=True) as dead:
            assert dead == {name}
        assert [path.stem for path in tmp_path.glob("*.lock")] == [node.id]
        node.leave()


def test_only_one_node_gets_a_dead_process(tmp_path: Path) -> None:
    first, second, third = Node(tmp_path), Node(tmp_path), Node(tmp_path)
    first.join()
    first.leave()

    with second.dead((), unknown=False) as dead, third.dead((), unknown=False) as none:
        assert (dead, none) == ({first.id}, set())


def test_process_without_a_file_is_dead_only_on_a_single_machine(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.join()
    with node.dead({"elsewhere-1-0", node.id}, unknown=False) as dead:
        assert dead == set()
    with node.dead({"elsewhere-1-0", node.id}, unknown=True) as dead:
        assert dead == {"elsewhere-1-0"}
    node.leave()


def test_node_recreates_its_file_after_a_removal_during_the_join(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.join()
    (path,) = tmp_path.glob("*.lock")
    path.unlink()

    node.join()

    assert path.exists()
    assert Node(tmp_path).others() == 1
    node.leave()
