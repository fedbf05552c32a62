"""Compares loads into Postgres with psql's COPY of the same rows as CSV in the same run.

`python -m bench.postgres [ROWS]` (default 200,000 rows) starts a Postgres server with synchronous writes. Rows are
charges of the simulated Stripe with all their columns, repeated with different ids. Each load is a separate process;
seconds are those of the load, without the start of the process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from tests.postgres import Server, running

from bench.processes import KEY
from counterfoil import connect
from counterfoil.archive import Archive
from counterfoil.columns.schema import arrow_schema
from counterfoil.columns.system import SYSTEM_COLUMNS
from counterfoil.destinations import open_destination
from counterfoil.destinations.postgres.types import typed
from counterfoil.destinations.sql.text import quoted
from counterfoil.reports.catalogue import report
from counterfoil.settings import Settings
from counterfoil.values import Load, Method, Part, Window
from stripe_sandbox import Sandbox

ROWS = 200_000
CHANGED = 1_000
_SCHEMA = arrow_schema((*report("charges").columns, *SYSTEM_COLUMNS))
#: The measured loads: name, update method, set of rows.
LOADS: tuple[tuple[str, Method, str], ...] = (
    ("replace, no table yet", "replace", "all"),
    ("replace, in place", "replace", "all"),
    ("append", "append", "all"),
    ("replace, after an append", "replace", "all"),
    ("merge, nothing differs", "merge", "all"),
    (f"merge of {CHANGED:,} changes", "merge", "few"),
    (f"merge of {CHANGED:,} more", "merge", "more"),
)


def main(words: Sequence[str]) -> None:
    """Measures and prints a table."""
    if words[:1] == ["load"]:
        url, folder_, method_, which_, run = words[1:]
        print(json.dumps(_load(url, folder_, cast("Method", method_), which_, run)))
        return
    rows = int(words[0]) if words else ROWS
    with TemporaryDirectory(prefix="bench-") as folder, running(careless=False) as server:
        home = Path(folder)
        _archive(home, rows)
        floor = min(_psql(server, home, number) for number in range(2))
        print(f"| {rows:,} charges of {len(_SCHEMA)} columns | s | of psql's COPY | peak MB |\n|---|---|---|---|")
        print(f"| psql: COPY of the same as CSV | {floor:.1f} | 1.0 | |")
        url = server.url("bench")
        for number, (name, method, which) in enumerate(LOADS):
            command = [sys.executable, "-m", "bench.postgres", "load", url, folder, method, which, f"run-{number}"]
            load = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            share = load["seconds"] / floor
            print(f"| {name} | {load['seconds']:.1f} | {share:.2f} | {load['megabytes']:.0f} |", flush=True)


def _load(url: str, folder: str, method: Method, which: str, run: str) -> dict[str, Any]:
    settings = Settings(home=Path(folder))
    parts = [Part(path, pq.read_metadata(path).num_rows, 0, "") for path in _parts(Path(folder), which)]
    charges = report("charges")
    load = Load(run=run, table="charges", method=method, primary_key=("id",), created="created", order=charges.order)
    load = replace(load, covers=(Window(),) if which == "all" and method == "merge" else ())
    destination = open_destination(url, relative_to=Path(folder), settings=settings)
    started = time.monotonic()
    destination.load(load, _SCHEMA, parts)
    seconds = time.monotonic() - started
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _psql(server: Server, folder: Path, number: int) -> float:
    """The seconds that psql takes to copy the file into a table with the same columns."""
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in typed(_SCHEMA))
    with server.connected() as connection:
        connection.execute(f"CREATE TABLE floor_{number} ({columns})")
    command = ["psql", "-q", "-h", str(server.folder), "-U", "owner", "-d", "test", "-v", "ON_ERROR_STOP=1"]
    started = time.monotonic()
    subprocess.run([*command, "-c", f"\\copy floor_{number} FROM '{folder}/all.csv' CSV"], check=True)
    return time.monotonic() - started


def _archive(folder: Path, rows: int) -> None:
    """Writes the rows as parts and as CSV."""
    with Sandbox() as sandbox, connect(KEY, api_base=sandbox.url, settings=Settings(home=folder)) as stripe:
        stripe.pull("charges", to=f"parquet:///{folder}/pulled")
    table = pq.read_table(folder / "pulled" / "charges").cast(_SCHEMA)
    changed = table.set_column(*_column("description", pa.repeat(pa.scalar("changed"), table.num_rows)))
    for which, source, count in (("all", table, rows), ("few", changed, CHANGED), ("more", changed, 2 * CHANGED)):
        with Archive(folder / "archive" / which, _SCHEMA) as archive:
            for batch in _repeated(source, count):
                archive.write(batch)
    options = pcsv.WriteOptions(include_header=False, quoting_style="all_valid")
    with pcsv.CSVWriter(folder / "all.csv", _SCHEMA, write_options=options) as file:
        for batch in _repeated(table, rows):
            file.write_batch(batch)


def _repeated(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    for number in range(-(-rows // table.num_rows)):
        ids = pc.binary_join_element_wise(table["id"], pa.scalar(f"{number:04}"), "")
        for batch in table.set_column(*_column("id", ids)).slice(0, rows - number * table.num_rows).to_batches():
            yield batch.cast(_SCHEMA)


def _column(name: str, values: Any) -> tuple[int, pa.Field, Any]:
    return _SCHEMA.get_field_index(name), _SCHEMA.field(name), values


def _parts(folder: Path, which: str) -> list[Path]:
    return sorted((folder / "archive" / which).glob("part-*.parquet"))


if __name__ == "__main__":
    main(sys.argv[1:])
