"""Creates a merge dataset for a pulled table of charges, and changes some charges in the sandbox.

`python -m bench.merging URL HOME FILE SINCE CHANGES` prints JSON: `changed`, the number of changed charges, and
`cheapest`, the requests of the best fetch plan with exact knowledge of the number of charges in each second.
"""

from __future__ import annotations

import json
import random
import sys
import urllib.request
from bisect import bisect_left
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any, cast

import duckdb

from bench.processes import KEY
from counterfoil.app.app import App, open_app
from counterfoil.extract.estimates.created_histogram import CreatedHistogram
from counterfoil.extract.fetch_plan import plan_fetch
from counterfoil.extract.windows import PAGE_ROWS
from counterfoil.reports.catalogue import report
from counterfoil.runs.plans.dataset_plan import plan_run
from counterfoil.runs.plans.sync_state import state_after_full_refresh
from counterfoil.settings import Settings
from counterfoil.state.dataset import Choice, Dataset
from counterfoil.stripe.client import AccountIdentity
from counterfoil.values import Part

#: Share of changes of recent charges, and the share of charges that count as recent; other changes are anywhere.
_YOUNG, _OF_THE_NEWEST = 0.7, 0.05


class _Exact:
    """The exact number of charges before an instant, in place of the histogram."""

    def __init__(self, created: Sequence[int]) -> None:
        self._created = created

    def before(self, instant: float) -> float:
        return bisect_left(self._created, instant)


def prepare(url: str, home: Path, file: Path, since: int, changes: int) -> dict[str, Any]:
    """Creates the dataset in the state after a full refresh, and changes charges."""
    with duckdb.connect(str(file)) as table:
        rows = table.execute("SELECT id, epoch(created)::BIGINT FROM charges ORDER BY 2, 1").fetchall()
        ((run,),) = table.execute("SELECT run FROM _counterfoil_loads").fetchall()
        part = file.with_suffix(".created.parquet")
        table.execute(f"COPY (SELECT created FROM charges) TO '{part}'")
    with open_app(Settings(home=home)) as app:
        _dataset(app, url, file, since, run, Part(part, len(rows), part.stat().st_size, ""))
    part.unlink()
    chance = random.Random(1)
    young = rows[-int(len(rows) * _OF_THE_NEWEST) :]
    count = min(changes, len(young) // 2)
    chosen = dict(chance.sample(young, int(count * _YOUNG)))
    for id_, created in chance.sample(rows, count):
        if len(chosen) < count:
            chosen[id_] = created
    _ask(url, "advance", seconds=3_600)
    for id_ in chosen:
        fields = {"metadata": {"changed": "yes"}}
        _ask(url, "objects", action="update", kind="charge", id=id_, fields=fields)
    _ask(url, "advance", seconds=3_600)
    exact = _Exact([created for _, created in rows])
    best = plan_fetch(chosen, cast("CreatedHistogram", exact))
    until = [(exact.before(one.since or 0), exact.before(one.until or 0)) for one in best.windows]
    cheapest = len(best.singly) + sum(max(1, ceil((end - first) / PAGE_ROWS)) for first, end in until)
    return {"changed": len(chosen), "cheapest": cheapest}


def _dataset(app: App, url: str, file: Path, since: int, run: str, part: Part) -> Dataset:
    account = app.accounts.add("Bench", KEY, api_base=url)
    made = app.datasets.create(
        "Charges",
        account="Bench",
        report="charges",
        to=f"duckdb:///{file}",
        table="charges",
        choice=Choice(since=since),
        method="merge",
    ).dataset
    now = json.load(urllib.request.urlopen(f"{url}/_sandbox/state"))["now"]
    identity = AccountIdentity(str(account.stripe_id), bool(account.livemode))
    plan, _ = plan_run(made, identity, date=now)
    sync_state = state_after_full_refresh(
        report("charges"), [part], as_of=plan.as_of, requests=ceil(part.rows / PAGE_ROWS)
    )
    return app.records.datasets.set_bookmark(made.id, plan.bookmark(run, sync_state))


def _ask(url: str, control: str, **values: Any) -> None:
    request = urllib.request.Request(f"{url}/_sandbox/{control}", data=json.dumps(values).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


if __name__ == "__main__":
    url, home, file, since, changes = sys.argv[1:]
    print(json.dumps(prepare(url, Path(home), Path(file), int(since), int(changes))))
