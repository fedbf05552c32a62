"""Concurrent claims of due datasets: each due time is claimed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta

from counterfoil.schedules import Every
from counterfoil.state import State
from counterfoil.state.datasets import Datasets
from counterfoil.state.runs import Runs
from tests.state.conftest import MakeDataset, StandingClock

DATASETS, ROUNDS, PROCESSES = 10, 6, 4

#: A process that claims due datasets every quarter of an hour of its own clock, and prints its claims.
CLAIMS = """
import json, sys
from datetime import datetime, timedelta
from counterfoil.settings import load_settings
from counterfoil.state import open_state
from counterfoil.state.datasets import Datasets
from counterfoil.state.runs import Runs

start, rounds = datetime.fromisoformat(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
claims = []
with open_state(load_settings()) as state:
    datasets, runs = Datasets(state), Runs(state)
    for step in range(1, rounds + 1):
        now = start + timedelta(minutes=15 * step)
        while True:
            with state.begin():
                claimed = datasets.claim_due(now, limit=3)
                made = [runs.create(dataset.id, "schedule", due_at) for dataset, due_at in claimed]
            if not claimed:
                break
            claims += [[dataset.id, due_at.isoformat()] for dataset, due_at in claimed]
            for run in made:
                runs.finish(run.id, "succeeded") if run.status == "queued" else None
print(json.dumps(claims))
"""


def test_concurrent_processes_claim_each_due_time_once(
    make_dataset: MakeDataset, state: State, clock: StandingClock
) -> None:
    for number in range(DATASETS):
        make_dataset(f"Number {number}", schedule=Every(15, "minutes", anchor=clock()))
    environment = {**os.environ, "COUNTERFOIL_HOME": str(state.settings.home)}
    if (url := state.settings.secret("state_url")) is not None:
        environment["COUNTERFOIL_STATE_URL"] = url
    command = [sys.executable, "-c", CLAIMS, clock().isoformat(), str(ROUNDS)]
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    claims = []
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        claims += [(dataset, datetime.fromisoformat(due)) for dataset, due in json.loads(output)]
    assert len(claims) == len(set(claims))
    assert {dataset for dataset, _ in claims} == {dataset.id for dataset in Datasets(state).list()}
    end = clock() + timedelta(minutes=15 * ROUNDS)
    assert max(due for _, due in claims) <= end
    assert {dataset.next_due_at for dataset in Datasets(state).list()} == {end + timedelta(minutes=15)}
    created = Runs(state).list(limit=10_000)
    assert {(run.dataset, run.due_at) for run in created} == set(claims)
    assert len(created) == len(claims)


def test_batches_of_claims_lose_no_due_dataset(make_dataset: MakeDataset, state: State, clock: StandingClock) -> None:
    with state.begin():
        made = {make_dataset(f"Number {number}", schedule=Every(1, "hours")).id for number in range(120)}
    clock.advance(hours=1)
    datasets = Datasets(state)
    claimed = [dataset.id for _ in range(4) for dataset, _ in datasets.claim_due(clock(), limit=50)]
    assert len(claimed) == len(made)
    assert set(claimed) == made
