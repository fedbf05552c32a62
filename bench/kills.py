"""Kills a pull at random times, resumes it each time, and checks that the table is complete at the end.

`python -m bench.kills [--rows N] [--kills N] [--seed N] [--latency-ms N] [--rate N]` prints the result as JSON. The
exit code is 1 if a row is missing or duplicated, or if more requests were repeated than were in flight.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from bench.processes import COUNTERFOIL, KEY, Stripe, stripe

#: Charges of the sandbox at scale 1.
_CHARGES = 3_000
_ENDPOINT = "GET /v1/charges"
_LOOK_SECONDS = 0.02
#: Without requests for this time after the last page, the pull is flattening and loading.
_QUIET_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The result after the kills."""

    rows: int
    there: int
    missing: int
    twice: int
    runs: int
    kills: int
    #: Kills during the load, included in `kills`.
    kills_in_load: int
    requests: int
    requests_of_one_pull: int
    most_in_flight: int
    seconds: float
    seconds_of_one_pull: float

    @property
    def extra(self) -> int:
        return self.requests - self.requests_of_one_pull

    @property
    def allowed(self) -> int:
        """The maximum of repeated requests: a kill may lose the pages in flight, and one page not stored yet."""
        return self.kills * (self.most_in_flight + 1)

    @property
    def right(self) -> bool:
        return not self.missing and not self.twice and self.runs == 1 and self.extra <= self.allowed


class Killing:
    """Pulls from one sandbox into one folder."""

    def __init__(self, sandbox: Stripe, folder: Path, rate: float) -> None:
        self._sandbox = sandbox
        self._folder = folder
        passed = {name: value for name, value in os.environ.items() if not name.startswith(("COUNTERFOIL_", "STRIPE_"))}
        limits = {f"COUNTERFOIL_RATE_{name}": str(rate) for name in ("GLOBAL", "ENDPOINT")}
        access = {"STRIPE_API_KEY": KEY, "STRIPE_API_BASE": sandbox.url, "COUNTERFOIL_RATE_SHARE": "1"}
        self._environment = {**passed, **limits, **access, "COUNTERFOIL_HOME": str(folder / "home")}

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._sandbox.url}/_sandbox/{path}", timeout=60) as answer:
            return json.load(answer)

    def asked(self) -> int:
        """Requests for the list since the last `forget`."""
        return sum(self.ask("requests")["endpoints"].get(_ENDPOINT, {}).values())

    def forget(self) -> None:
        self.ask("requests?reset=true")

    def start(self, file: str) -> subprocess.Popen[bytes]:
        command = [COUNTERFOIL, "pull", "charges", "--resume", "--to", f"duckdb:///{self._folder}/{file}"]
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL, start_new_session=True)

    def finish(self, file: str) -> float:
        """Runs a pull without kills; returns its seconds."""
        started = time.perf_counter()
        if code := self.start(file).wait():
            raise RuntimeError(f"a pull without kills ended with exit code {code}")
        return time.perf_counter() - started

    def kill_at(self, file: str, requests: int, chance: random.Random, *, quiet: bool) -> bool:
        """Kills a pull after `requests` requests for the list and, if `quiet`, a pause without requests.

        Returns False if the pull ended before.
        """
        process = self.start(file)
        seen, since = -1, time.perf_counter()
        while process.poll() is None:
            now, count = time.perf_counter(), self.asked()
            if count != seen:
                seen, since = count, now
            if count >= requests and (not quiet or now - since > _QUIET_SECONDS):
                time.sleep(chance.uniform(0, 0.2))
                break
            time.sleep(_LOOK_SECONDS)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return not ended

    def ids(self, file: str) -> tuple[list[str], int]:
        """The ids in the table, and the number of runs that they belong to."""
        with duckdb.connect(str(self._folder / file), read_only=True) as connection:
            rows = connection.execute("SELECT id, _run FROM charges").fetchall()
        return [identifier for identifier, _ in rows], len({run for _, run in rows})


def measure(sandbox: Stripe, folder: Path, *, kills: int, rate: float, chance: random.Random) -> Found:
    """Runs one pull without kills, for comparison, and one with kills."""
    killing = Killing(sandbox, folder, rate)
    killing.forget()
    peaceful_seconds, peaceful = killing.finish("peaceful.duckdb"), killing.asked()
    killing.forget()
    started, killed, in_load = time.perf_counter(), 0, 0
    # The last kill happens during the load, after all requests.
    for point in sorted(chance.randrange(1, peaceful) for _ in range(kills - 1)):
        killed += killing.kill_at("killed.duckdb", point, chance, quiet=False)
    if killing.kill_at("killed.duckdb", peaceful - 1, chance, quiet=True):
        in_load = 1
        killing.finish("killed.duckdb")
    seconds, requests = time.perf_counter() - started, killing.asked()
    held, runs = killing.ids("killed.duckdb")
    there = set(killing.ask("truth/charges")["ids"])
    return Found(
        rows=len(held),
        there=len(there),
        missing=len(there - set(held)),
        twice=len(held) - len(set(held)),
        runs=runs,
        kills=killed + in_load,
        kills_in_load=in_load,
        requests=requests,
        requests_of_one_pull=peaceful,
        most_in_flight=killing.ask("requests")["peak_by_endpoint"][_ENDPOINT],
        seconds=round(seconds, 1),
        seconds_of_one_pull=round(peaceful_seconds, 1),
    )


def main(words: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description="Kills a pull and resumes it.")
    parser.add_argument("--rows", type=int, default=200_000, help="number of charges in the sandbox")
    parser.add_argument("--kills", type=int, default=10, help="number of kills; the last one is during the load")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random times")
    parser.add_argument("--latency-ms", type=float, default=150, help="latency of a page")
    parser.add_argument("--rate", type=float, default=50, help="requests per second")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, stripe(given.rows / _CHARGES) as sandbox:
        sandbox.set(latency_ms=given.latency_ms)
        found = measure(sandbox, Path(folder), kills=given.kills, rate=given.rate, chance=random.Random(given.seed))
    verdict = {"extra": found.extra, "allowed": found.allowed, "right": found.right}
    print(json.dumps({**asdict(found), **verdict}, indent=1))
    return 0 if found.right else 1


if __name__ == "__main__":
    sys.exit(main())
