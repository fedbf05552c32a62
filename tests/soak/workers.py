"""Workers on one Postgres, of which one is killed and another stands still for a while: `python -m tests.soak.workers`.

Datasets of many accounts are due at once. Each run has to end, once, with its table right, and Stripe has to refuse
almost nothing. Prints what it found, as Markdown, and ends with 1 when that is not so.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from counterfoil.app.app import App, open_app
from counterfoil.schedules import parse
from counterfoil.settings import Settings
from stripe_sandbox import Sandbox
from tests.postgres import running

REPORTS = ("charges", "customers", "refunds", "coupons", "plans", "invoices", "subscriptions", "invoiceitems")
COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))
#: Longer than after which a process that is not heard of is dead.
STILL_SECONDS = 75
MOST_SECONDS = 900


def main() -> None:
    """Ends with 1 when a run is lost or doubled, or a table is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.workers")
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--latency-ms", type=int, default=100)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running(connections=100))  # as a server has unless told otherwise
        settings = Settings(
            home=folder / "home",
            archive_path=folder / "archive",
            state_url=f"postgresql://owner@/test?host={server.folder}",  # type: ignore[arg-type]
            secret_key_file=_ring(folder),
        )
        stripes = [
            stack.enter_context(Sandbox(scale=given.scale, seed=seed, rps=25, latency_ms=given.latency_ms))
            for seed in range(given.accounts)
        ]
        app = stack.enter_context(open_app(settings))
        _prepare(app, stripes, given.datasets)
        for stripe in stripes:
            stripe.ask("requests?reset=true")
        started = time.monotonic()
        told = _work(app, settings, folder, given.datasets)
        print(f"- {given.datasets} datasets of {given.accounts} accounts, three workers on one Postgres; {told}.")
        ill = _look(app, stripes, folder, given.datasets, time.monotonic() - started)
    sys.exit(1 if ill else 0)


def _ring(folder: Path) -> Path:
    file = folder / "ring"
    file.write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
    return file


def _prepare(app: App, stripes: list[Sandbox], datasets: int) -> None:
    for number, stripe in enumerate(stripes):
        app.accounts.add(f"Shop {number:02}", "sk_test_demo", api_base=stripe.url)
    due = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    schedule = parse(f"daily at {due:%H:%M}", "UTC")
    with open_app(app.settings, clock=lambda: due - timedelta(minutes=5)) as earlier:
        for number in range(datasets):
            shop, report = number % len(stripes), REPORTS[number // len(stripes) % len(REPORTS)]
            earlier.datasets.create(
                f"Dataset {number:03}",
                account=f"Shop {shop:02}",
                report=report,
                method="replace",
                to=f"duckdb:///shop{shop:02}.duckdb",
                table=f"t{number:03}_{report}",
                schedule=schedule,
            )


def _work(app: App, settings: Settings, folder: Path, datasets: int) -> str:
    """Three workers: one is killed when a part is done, another then stands still."""
    environment = {
        **os.environ,
        "COUNTERFOIL_HOME": str(settings.home),
        "COUNTERFOIL_ARCHIVE_PATH": str(settings.archive_path),
        "COUNTERFOIL_STATE_URL": str(settings.secret("state_url")),
        "COUNTERFOIL_SECRET_KEY_FILE": str(folder / "ring"),
    }
    words = (folder / "words").open("w")
    workers = [subprocess.Popen([COUNTERFOIL, "worker"], env=environment, stdout=words, stderr=words) for _ in range(3)]
    killed, still, steady = workers
    began = time.monotonic()
    try:
        _until(lambda: _ended(app) >= datasets // 10, steady)
        killed.kill()
        still.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        _until(lambda: _ended(app) == datasets or time.monotonic() - stopped_at > STILL_SECONDS, steady)
        still.send_signal(signal.SIGCONT)
        _until(lambda: _ended(app) == datasets, steady)
        return (
            f"one killed and one standing still for {STILL_SECONDS} s after a tenth of the runs, "
            f"all ended {time.monotonic() - began:.0f} s after the start"
        )
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(60)
        words.close()
        for line in (folder / "words").read_text().splitlines():
            if "taken" in line or "error" in line.lower():
                print(line, file=sys.stderr)


def _ended(app: App) -> int:
    return len(app.records.runs.list(status=("succeeded", "failed", "canceled", "skipped"), limit=10_000))


def _until(condition: Callable[[], bool], steady: subprocess.Popen[bytes]) -> None:
    """Looks five times a second, for as long as the worker that nobody disturbs is there."""
    began = time.monotonic()
    while not condition():
        with suppress(subprocess.TimeoutExpired):
            raise SystemExit(f"a worker ended by itself: {steady.wait(0.2)}")
        if time.monotonic() - began > MOST_SECONDS:
            raise SystemExit("the workers do not work")


def _look(app: App, stripes: list[Sandbox], folder: Path, datasets: int, seconds: float) -> list[str]:
    """What is wrong, after it was printed."""
    runs = app.records.runs.list(limit=10_000)
    by_dataset = Counter(run.dataset for run in runs)
    statuses = Counter(run.status for run in runs)
    ill = [f"{datasets - len(by_dataset)} datasets without a run"] if len(by_dataset) < datasets else []
    ill += [f"{name} has {count} runs" for name, count in by_dataset.items() if count > 1]
    ill += [f"{run.id}: {run.status}: {run.error}" for run in runs if run.status != "succeeded"][:10]
    for shop, stripe in enumerate(stripes):
        file = app.settings.home / f"shop{shop:02}.duckdb"
        with duckdb.connect(file, read_only=True) as tables:
            names = [name for (name,) in tables.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            for name in names:
                if name.startswith("t") and name[1:4].isdigit():
                    report = name[5:]
                    theirs = sorted(stripe.ask(f"truth/{report}")["ids"])
                    ours = sorted(each for (each,) in tables.execute(f'SELECT id FROM "{name}"').fetchall())
                    if ours != theirs:
                        ill.append(f"{file.name}: {name} has {len(ours)} rows of {len(theirs)}")
    asked, refused = Counter[str](), 0
    for stripe in stripes:
        for endpoint, by_status in stripe.ask("requests")["endpoints"].items():
            asked[endpoint] += sum(by_status.values())
            refused += by_status.get("429", 0)
    attempts = Counter(run.attempt for run in runs)
    print(
        f"- Runs: {', '.join(f'{count} {status}' for status, count in statuses.items())}; attempts: {dict(attempts)}."
    )
    print(
        f"- {asked.total():,} requests, {refused} of them 429 ({refused / max(1, asked.total()):.2%}). {seconds:.0f} s."
    )
    print(f"- Wrong: {len(ill)}.")
    for line in ill:
        print(f"  - {line}")
    if refused > asked.total() * 0.01:
        ill.append("more than 1 % of the requests were refused")
    return ill


if __name__ == "__main__":
    main()
