"""Simulates the delay of datasets for numbers of accounts and machines: `python -m bench.simulation`.

Time advances in steps. Machines have two cores and eight slots each. Runs wait in one queue; at most four runs of an
account are active. A run takes CPU and requests: the runs of a machine share its cores, those of an account its rate
limit. The cost of a run was measured: `bench.many_datasets` for small accounts, `bench.merging` for a thousand changes
in a million rows. Prints a Markdown table.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

STEP = 0.5
CORES, PLACES, OF_AN_ACCOUNT = 2, 8, 4
#: Requests per second of an account in live mode, without the fifth that is left to other programs.
RATE = 80.0
DATASETS = 4
HOURS = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of account: its share of all accounts, and the cost of each run."""

    share: float
    cpu: float
    requests: float


SMALL, LARGE = Kind(0.95, 0.43, 5), Kind(0.05, 3.94, 790)


@dataclass(slots=True)
class Run:
    """A run and its remaining work."""

    account: int
    due: float
    cpu: float
    requests: float
    machine: int = 0


def simulate(accounts: int, machines: int, every: float, seed: int = 1) -> tuple[list[float], float]:
    """Seconds from each due time to the end of its run, and the share of CPU used."""
    chance = random.Random(seed)
    kinds = [LARGE if chance.random() < LARGE.share else SMALL for _ in range(accounts)]
    # Most schedules are round times: two thirds of the datasets are due in the same minute.
    offsets = [chance.choice((0.0, 0.0, chance.uniform(0, every))) for _ in range(accounts * DATASETS)]
    due = sorted(
        (offset + turn * every, number // DATASETS)
        for number, offset in enumerate(offsets)
        for turn in range(int(HOURS * 3600 / every))
    )
    coming, waiting = deque(due), deque[Run]()
    active: list[Run] = []
    of_account, on_machine = Counter[int](), Counter[int]()
    took, used, now = [], 0.0, 0.0
    while coming or waiting or active:
        while coming and coming[0][0] <= now:
            at, account = coming.popleft()
            waiting.append(Run(account, at, kinds[account].cpu, kinds[account].requests))
        _begin(waiting, active, of_account, on_machine, machines)
        busy = Counter(run.machine for run in active if run.cpu > 0)
        for run in active:
            if run.cpu > 0:
                done = min(run.cpu, STEP * min(1.0, CORES / busy[run.machine]))
                run.cpu -= done
                used += done
            run.requests -= STEP * RATE / max(1, of_account[run.account])
        now += STEP
        for run in [run for run in active if run.cpu <= 0 and run.requests <= 0]:
            active.remove(run)
            of_account[run.account] -= 1
            on_machine[run.machine] -= 1
            took.append(now - run.due)
    return took, used / (now * machines * CORES)


def _begin(
    waiting: deque[Run], active: list[Run], of_account: Counter[int], on_machine: Counter[int], machines: int
) -> None:
    """Each free slot takes the first run whose account has fewer than four active runs."""
    for _ in range(len(waiting)):
        if len(active) >= machines * PLACES:
            return
        run = waiting.popleft()
        if of_account[run.account] >= OF_AN_ACCOUNT:
            waiting.append(run)
            continue
        run.machine = min(range(machines), key=lambda machine: on_machine[machine])
        of_account[run.account] += 1
        on_machine[run.machine] += 1
        active.append(run)


def lines() -> Iterator[str]:
    """The lines of the table."""
    yield "| accounts | machines | interval | runs/hour | 50% done after | 99% done after | all done after | CPU used |"
    yield "|---|---|---|---|---|---|---|---|"
    for accounts, machines, every in (
        (1_000, 1, 3600),
        (1_000, 2, 3600),
        (1_000, 4, 900),
        (5_000, 4, 3600),
        (5_000, 8, 3600),
        (10_000, 16, 3600),
    ):
        took, used = simulate(accounts, machines, every)
        took.sort()
        half, most, last = (took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.99, 1.0))
        runs = int(accounts * DATASETS * 3600 / every)
        yield (
            f"| {accounts:,} | {machines} | {every // 60} min | {runs:,} | {half:,.0f} s | {most:,.0f} s "
            f"| {last:,.0f} s | {used:.0%} |"
        )


if __name__ == "__main__":
    for line in lines():
        print(line, flush=True)
