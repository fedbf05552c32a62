"""Workers on one Postgres; one is killed and another is suspended for a while: `python -m tests.soak.workers`.

Datasets of many accounts are due at once. Each run must end exactly once with a correct table, and Stripe may reject
at most 1% of the requests. Prints the results as Markdown, and exits with 1 if a condition is not met.
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
#: Longer than the time after which an unresponsive process is considered dead.
SUSPENDED_SECONDS = 75
MOST_SECONDS = 900


def main() -> None:
    """Exits with 1 if a run is lost or duplicated, or a table is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.workers")
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--latency-ms", type=int, default=100)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running(connections=100))  # the default of a Postgres server
        settings = Settings(
            home=folder / "home",
            archive_path=folder / "archive",
            state_url=f"postgresql://owner@/test?host={server.folder}",  # type: ignore[arg-type]
            secret_key_file=_ring(folder),
        )
        stripes = [
            stack.enter_context(Sandbox(scale=options.scale, seed=seed, rps=25, latency_ms=options.latency_ms))
            for seed in range(options.accounts)
        ]
        app = stack.enter_context(open_app(settings))
        _prepare(app, stripes, options.datasets)
        for stripe in stripes:
            stripe.ask("requests?reset=true")
        started = time.monotonic()
        result = _work(app, settings, folder, options.datasets)
        print(f"- {options.datasets} datasets of {options.accounts} accounts, three workers on one Postgres; {result}.")
        problems = _check(app, stripes, folder, options.datasets, time.monotonic() - started)
    sys.exit(1 if problems else 0)


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
    """Starts three workers; after a tenth of the runs, kills one and suspends another."""
    environment = {
        **os.environ,
        "COUNTERFOIL_HOME": str(settings.home),
        "COUNTERFOIL_ARCHIVE_PATH": str(settings.archive_path),
        "COUNTERFOIL_STATE_URL": str(settings.secret("state_url")),
        "COUNTERFOIL_SECRET_KEY_FILE": str(folder / "ring"),
    }
    output = (folder / "output").open("w")
    workers = [
        subprocess.Popen([COUNTERFOIL, "worker"], env=environment, stdout=output, stderr=output) for _ in range(3)
    ]
    killed, suspended, steady = workers
    began = time.monotonic()
    try:
        _until(lambda: _ended(app) >= datasets // 10, steady)
        killed.kill()
        suspended.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        _until(lambda: _ended(app) == datasets or time.monotonic() - stopped_at > SUSPENDED_SECONDS, steady)
        suspended.send_signal(signal.SIGCONT)
        _until(lambda: _ended(app) == datasets, steady)
        return (
            f"after a tenth of the runs, one was killed and one was suspended for {SUSPENDED_SECONDS} s; "
            f"all runs had ended {time.monotonic() - began:.0f} s after the start"
        )
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(60)
        output.close()
        for line in (folder / "output").read_text().splitlines():
            if "reassigned" in line or "requeued" in line or "error" in line.lower():
                print(line, file=sys.stderr)


def _ended(app: App) -> int:
    return len(app.records.runs.list(status=("succeeded", "failed", "canceled", "skipped"), limit=10_000))


def _until(condition: Callable[[], bool], steady: subprocess.Popen[bytes]) -> None:
    """Polls the condition five times a second while the undisturbed worker is alive."""
    began = time.monotonic()
    while not condition():
        with suppress(subprocess.TimeoutExpired):
            raise SystemExit(f"a worker exited unexpectedly: {steady.wait(0.2)}")
        if time.monotonic() - began > MOST_SECONDS:
            raise SystemExit(f"the runs did not end within {MOST_SECONDS} s")


def _check(app: App, stripes: list[Sandbox], folder: Path, datasets: int, seconds: float) -> list[str]:
    """Prints the results, and returns the problems."""
    runs = app.records.runs.list(limit=10_000)
    by_dataset = Counter(run.dataset for run in runs)
    statuses = Counter(run.status for run in runs)
    problems = [f"{datasets - len(by_dataset)} datasets without a run"] if len(by_dataset) < datasets else []
    problems += [f"{name} has {count} runs" for name, count in by_dataset.items() if count > 1]
    problems += [f"{run.id}: {run.status}: {run.error}" for run in runs if run.status != "succeeded"][:10]
    for shop, stripe in enumerate(stripes):
        file = app.settings.home / f"shop{shop:02}.duckdb"
        with duckdb.connect(file, read_only=True) as tables:
            names = [name for (name,) in tables.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            for name in names:
                if name.startswith("t") and name[1:4].isdigit():
                    report = name[5:]
                    expected = sorted(stripe.ask(f"truth/{report}")["ids"])
                    found = sorted(each for (each,) in tables.execute(f'SELECT id FROM "{name}"').fetchall())
                    if found != expected:
                        problems.append(f"{file.name}: {name} has {len(found)} rows, expected {len(expected)}")
    requests, rejected = Counter[str](), 0
    for stripe in stripes:
        for endpoint, by_status in stripe.ask("requests")["endpoints"].items():
            requests[endpoint] += sum(by_status.values())
            rejected += by_status.get("429", 0)
    attempts = Counter(run.attempt for run in runs)
    print(
        f"- Runs: {', '.join(f'{count} {status}' for status, count in statuses.items())}; attempts: {dict(attempts)}."
    )
    share = rejected / max(1, requests.total())
    print(f"- {requests.total():,} requests, {rejected} with 429 ({share:.2%}). {seconds:.0f} s.")
    print(f"- Wrong: {len(problems)}.")
    for line in problems:
        print(f"  - {line}")
    if rejected > requests.total() * 0.01:
        problems.append("Stripe rejected more than 1% of the requests")
    return problems


if __name__ == "__main__":
    main()
