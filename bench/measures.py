"""The measures. Each takes the sandbox, sizes and an empty folder, and yields its figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure
from bench.processes import COUNTERFOIL, KEY, PYTHON, UNLIMITED, MeasureError, Reading, Spent, Stripe, run

ENDPOINT_RATE, GLOBAL_RATE, PAGE_ROWS = 25, 100, 100
REPORTS = ("charges", "customers", "refunds", "balance_transactions")
#: The table of many rows, reused by a later measure.
_MANY = "many.duckdb"
HEAVY = ("duckdb", "pyarrow", "pandas", "polars", "aiohttp", "pydantic", "dbos", "sqlalchemy", "fastapi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Rows and rounds."""

    scale: float = 350
    rounds: int = 3
    rate_rows: int = 40_000
    #: The first page is requested alone, and 64 in flight allow 94.8 % of the rate: few rows would mostly measure that.
    slow_rows: int = 250_000
    slow_rounds: int = 1
    slow_ms: int = 2_700
    side_rows: int = 37_500
    cpu_rows: int = 60_000
    few_rows: int = 100_000
    many_rows: int = 1_000_000
    changes: int = 1_000
    loop_rows: int = 5_000
    loop_rounds: int = 2


QUICK = Sizes(
    scale=2,
    rounds=1,
    rate_rows=1_500,
    slow_rows=1_000,
    slow_rounds=1,
    slow_ms=300,
    side_rows=400,
    cpu_rows=1_500,
    few_rows=1_500,
    many_rows=3_000,
    changes=20,
    loop_rows=300,
    loop_rounds=1,
)


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """A temporary folder for one process."""
    place = folder / "process"
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _pull(
    stripe: Stripe, since: int, rows: int, environment: Mapping[str, str], folder: Path, *, keep: Path | None = None
) -> Spent:
    """Runs `counterfoil pull charges` from its start to the committed table, and moves the table to `keep` if given."""
    with _empty(folder) as place:
        since_text = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}"
        command = [COUNTERFOIL, "pull", "charges", "--to", f"duckdb:///{place}/a.duckdb", "--since", since_text]
        key = {"STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.url}
        spent = run([*command, "--json"], {**key, **environment}, folder=place)
        if keep is not None:
            (place / "a.duckdb").replace(keep)
    loaded = spent.json()["rows"]
    if loaded != rows:
        raise MeasureError(f"{loaded} of {rows} rows were loaded")
    return spent


def _note(reading: Reading, rows: int) -> str:
    return (
        f"{rows:,} rows in {reading.seconds:.1f} s, {reading.requests:,} requests, {reading.limited} of them 429; "
        f"the sandbox used {reading.sandbox_load:.0%} of a core; "
        f"to the start of the last request {rows / reading.asking_seconds:,.0f} rows/s"
    )


def rate(stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """One report, compared with the rate limit of an endpoint, at 150 ms per page."""
    yield _rate(stripe, folder, "rate", 150, sizes.rate_rows, sizes.rounds, bar=0.95, goal=0.99)


def slow(stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """The same with the latency that pages of large objects can have."""
    yield _rate(stripe, folder, "slow", sizes.slow_ms, sizes.slow_rows, sizes.slow_rounds, bar=0.85, goal=0.95)


def _rate(
    stripe: Stripe, folder: Path, key: str, latency_ms: int, rows: int, rounds: int, *, bar: float, goal: float
) -> Figure:
    cut = stripe.cut("charges", rows)
    floor = ENDPOINT_RATE * PAGE_ROWS
    values, notes = [], []
    for _ in range(rounds):
        stripe.set(latency_ms=latency_ms, rps=ENDPOINT_RATE, endpoint_rps=ENDPOINT_RATE)
        _pull(stripe, cut.since, cut.rows, {"COUNTERFOIL_RATE_SHARE": "1"}, folder)
        reading = stripe.reading()
        values.append(cut.rows / reading.seconds)
        notes.append(_note(reading, cut.rows))
    return Figure(
        key=key,
        what=f"one report, {ENDPOINT_RATE} requests/s, {latency_ms:,} ms per page",
        unit="rows/s",
        values=values,
        floor="the rate",
        floor_values=[floor],
        bar=bar * floor,
        goal=goal * floor,
        notes=notes,
    )


def side_by_side(stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Four reports of one account in parallel, at 150 ms per page."""
    cuts = {report: stripe.cut(report, sizes.side_rows) for report in REPORTS}
    rows = sum(cut.rows for cut in cuts.values())
    environment = {"COUNTERFOIL_RATE_GLOBAL": str(GLOBAL_RATE), "COUNTERFOIL_RATE_SHARE": "1"}
    floor = GLOBAL_RATE * PAGE_ROWS
    values, notes = [], []
    for _ in range(sizes.rounds):
        stripe.set(latency_ms=150, rps=GLOBAL_RATE, endpoint_rps=ENDPOINT_RATE)
        with _empty(folder) as place:
            given = [f"{report}={cut.since}" for report, cut in cuts.items()]
            spent = run([PYTHON, "-m", "bench.side_by_side", stripe.url, str(place), *given], environment, folder=place)
        if (loaded := sum(spent.json().values())) != rows:
            raise MeasureError(f"{loaded} of {rows} rows were loaded")
        reading = stripe.reading()
        values.append(rows / reading.seconds)
        notes.append(_note(reading, rows))
    yield Figure(
        key="side_by_side",
        what=f"four reports in parallel, {GLOBAL_RATE} requests/s, 150 ms per page",
        unit="rows/s",
        values=values,
        floor="the rate",
        floor_values=[floor],
        bar=0.90 * floor,
        goal=0.98 * floor,
        notes=notes,
    )


def cpu(stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """CPU from socket to committed table, compared with the libraries alone for the same rows."""
    cut = stripe.cut("charges", sizes.cpu_rows, chains=16)
    ours: list[float] = []
    floors: dict[str, list[float]] = {}
    notes = []
    stripe.set()
    for _ in range(sizes.rounds):
        spent = _pull(stripe, cut.since, cut.rows, UNLIMITED, folder)
        reading = stripe.reading()
        ours.append(cut.rows / spent.cpu_seconds)
        notes.append(
            f"{cut.rows:,} rows in {spent.seconds:.1f} s, {spent.cpu_seconds:.2f} CPU s; the requests took "
            f"{reading.seconds:.1f} s, and the sandbox used {reading.sandbox_load:.0%} of a core"
        )
        with _empty(folder) as place:
            command = [PYTHON, "-m", "bench.floors", stripe.url, json.dumps(cut.ranges), str(place)]
            floor = run(command, {}, folder=place).json()
        stripe.reading()
        for name, micros in floor["micros"].items():
            floors.setdefault(name, []).append(micros)
    sums = [1e6 / sum(each) for each in zip(*floors.values(), strict=True)]
    yield Figure(
        key="cpu",
        what="CPU from socket to committed table, no latency",
        unit="rows/CPU s",
        values=ours,
        floor="1 / sum of the floors",
        floor_values=sums,
        bar=15_000,
        goal=20_000,
        notes=notes,
    )
    yield Figure(
        key="cpu_share",
        what="CPU, share of the floors",
        unit="share",
        values=[one / floor for one, floor in zip(ours, sums, strict=True)],
        bar=0.60,
    )
    for name, values in floors.items():
        key = f"floor_{name.lower().replace(' ', '_')}"
        yield Figure(key=key, what=f"floor: {name}", unit="us/row", values=values)


def memory(stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Peak memory of a pull, for few rows and for many, one round each."""
    stripe.set()
    few = _peak(stripe, "memory_few", sizes.few_rows, folder)
    yield few
    many = _peak(stripe, "memory_many", sizes.many_rows, folder, keep=folder / _MANY)
    yield many
    if few.values and many.values:
        growth = many.value / few.value
        yield Figure(
            key="memory_growth",
            what="peak memory, ratio of many rows to few",
            unit="times",
            values=[growth],
            bar=1.2,
            less_is_better=True,
        )


def _peak(stripe: Stripe, key: str, rows: int, folder: Path, *, keep: Path | None = None) -> Figure:
    cut = stripe.cut("charges", rows)
    figure = Figure(
        key=key, what=f"peak memory, {rows:,} charges", unit="bytes", bar=500e6, goal=300e6, less_is_better=True
    )
    try:
        spent = _pull(stripe, cut.since, cut.rows, UNLIMITED, folder, keep=keep)
    except MeasureError as failure:
        return replace(figure, failed=str(failure), notes=[" ".join(str(failure).split())])
    rate = f"{cut.rows / spent.cpu_seconds:,.0f} rows/CPU s"
    return replace(
        figure, values=[spent.peak_bytes], notes=[f"{spent.seconds:.1f} s, {spent.cpu_seconds:.1f} CPU s: {rate}"]
    )


def merge(stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """A dataset's run that finds changes in a table of a million rows, minus a run that finds none."""
    stripe.set()
    cut = stripe.cut("charges", sizes.many_rows)
    if not (table := folder / _MANY).exists():
        _pull(stripe, cut.since, cut.rows, UNLIMITED, folder, keep=table)
    home = {"COUNTERFOIL_HOME": str(folder / "merging"), **UNLIMITED}
    given = [stripe.url, home["COUNTERFOIL_HOME"], str(table), str(cut.since), str(sizes.changes)]
    prepared = run([PYTHON, "-m", "bench.merging", *given], UNLIMITED, folder=folder).json()
    spent = run([COUNTERFOIL, "run", "Charges", "--json"], home, folder=folder)
    idle = run([COUNTERFOIL, "run", "Charges", "--json"], home, folder=folder)
    made, none = spent.json(), idle.json()
    merged, again = made["rows"]["changed"], none["rows"]["changed"]
    if (merged, again) != (prepared["changed"], 0):
        raise MeasureError(f"{merged} of {prepared['changed']} changes were merged, then {again} more")
    by_endpoint = made["requests_by_endpoint"]
    asked = sum(count for endpoint, count in by_endpoint.items() if endpoint.startswith("GET /v1/charges"))
    # Every run requests the new objects, also if nothing has changed.
    asked -= none["requests_by_endpoint"].get("GET /v1/charges", 0)
    note = (
        f"{spent.seconds:.1f} s from start to end, {idle.seconds:.1f} s if nothing has changed; "
        f"peak {spent.peak_bytes / 1e6:,.0f} MB; {sum(by_endpoint.values()):,} requests, "
        f"a full refresh takes {-(-cut.rows // PAGE_ROWS):,}: {by_endpoint}"
    )
    yield Figure(
        key="merge",
        what=f"merge of {prepared['changed']:,} changes into {cut.rows:,} charges, CPU",
        unit="seconds",
        values=[spent.cpu_seconds - idle.cpu_seconds],
        bar=3,
        less_is_better=True,
        notes=[note],
    )
    yield Figure(
        key="merge_requests",
        what="requests for charges of that merge",
        unit="requests",
        values=[asked],
        floor="the cheapest fetch plan",
        floor_values=[prepared["cheapest"]],
        bar=1.2 * prepared["cheapest"],
        less_is_better=True,
    )


def start(_stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Duration and imports of `counterfoil --help`."""
    heavy = f"print(sorted(sys.modules.keys() & set({HEAVY!r})))"
    script = f"import atexit, sys; atexit.register(lambda: {heavy}); sys.argv[1:] = ['--help']; import counterfoil.cli"
    script += "; counterfoil.cli.main()"
    with _empty(folder) as place:
        ours, bare = [], []
        for _ in range(3 * sizes.rounds):
            ours.append(run([COUNTERFOIL, "--help"], {}, folder=place).seconds)
            bare.append(run([PYTHON, "-c", "pass"], {}, folder=place).seconds)
        imported: list[str] = json.loads(
            run([PYTHON, "-c", script], {}, folder=place).printed.splitlines()[-1].replace("'", '"')
        )
    yield Figure(
        key="help",
        what="counterfoil --help",
        unit="seconds",
        values=ours,
        floor="python -c pass",
        floor_values=bare,
        bar=0.5,
        goal=0.3,
        less_is_better=True,
    )
    yield Figure(
        key="help_imports",
        what="heavy modules that --help imports",
        unit="modules",
        values=[len(imported)],
        bar=0,
        less_is_better=True,
        notes=[f"looked for {', '.join(HEAVY)}; found {', '.join(imported) or 'none'}"],
    )


def loop(stripe: Stripe, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Compared with a common loop over Stripe's own client; both from start to table."""
    cut = stripe.cut("charges", sizes.loop_rows)
    for latency_ms in (150, 0):
        # At 150 ms ours obeys the rate limit of an endpoint, as at Stripe; the loop stays far below it.
        environment = {"COUNTERFOIL_RATE_SHARE": "1"} if latency_ms else UNLIMITED
        ours, loops = [], []
        for _ in range(sizes.loop_rounds):
            stripe.set(latency_ms=latency_ms)
            ours.append(cut.rows / _pull(stripe, cut.since, cut.rows, environment, folder).seconds)
            with _empty(folder) as place:
                command = [PYTHON, "-m", "bench.sdk_loop", stripe.url, str(cut.since), str(place / "a.duckdb")]
                spent = run(command, {}, folder=place)
            loops.append(spent.json()["rows"] / spent.seconds)
        yield Figure(
            key=f"loop_{latency_ms}",
            what=f"{cut.rows:,} charges, start to table, {latency_ms} ms per page",
            unit="rows/s",
            values=ours,
            floor="loop over the stripe package",
            floor_values=loops,
        )


Measure = Callable[[Stripe, Sizes, Path], Iterator[Figure]]
MEASURES: Mapping[str, Measure] = {
    "rate": rate,
    "slow": slow,
    "side_by_side": side_by_side,
    "cpu": cpu,
    "memory": memory,
    "merge": merge,
    "start": start,
    "loop": loop,
}
