"""However many processes look for what is due, each due instant is handed out once."""

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

#: Claims every quarter of an hour, waiting for nobody, and prints what it was handed.
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
handed = []
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
            handed += [[dataset.id, due_at.isoformat()] for dataset, due_at in claimed]
            for run in made:
                runs.finish(run.id, "succeeded") if run.status == "queued" else None
print(json.dumps(handed))
"""


def test_processes_that_claim_at_once_are_handed_each_instant_once(
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
    handed = []
    for process in processes:
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        handed += [(dataset, datetime.fromisoformat(due)) for dataset, due in json.loads(told)]
    assert len(handed) == len(set(handed))
    assert {dataset for dataset, _ in handed} == {dataset.id for dataset in Datasets(state).list()}
    end = clock() + timedelta(minutes=15 * ROUNDS)
    assert max(due for _, due in handed) <= end
    assert {dataset.next_due_at for dataset in Datasets(state).list()} == {end + timedelta(minutes=15)}
    kept = Runs(state).list(limit=10_000)
    assert {(run.dataset, run.due_at) for run in kept} == set(handed)
    assert len(kept) == len(handed)


def test_many_that_are_due_in_one_minute_are_claimed_in_batches_and_none_is_lost(
    make_dataset: MakeDataset, state: State, clock: StandingClock
) -> None:
    with state.begin():
        made = {make_dataset(f"Number {number}", schedule=Every(1, "hours")).id for number in range(120)}
    clock.advance(hours=1)
    datasets = Datasets(state)
    handed = [dataset.id for _ in range(4) for dataset, _ in datasets.claim_due(clock(), limit=50)]
    assert len(handed) == len(made)
    assert set(handed) == made
