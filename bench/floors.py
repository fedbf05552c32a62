"""Measures the floors of a pull of charges, each a minimal use of one library: CPU microseconds per row, as JSON.

`python -m bench.floors URL RANGES FOLDER`, with RANGES of `created` as JSON. Imports are not included.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bench.processes import KEY
from counterfoil.columns.flatten import Flattener
from counterfoil.reports.catalogue import report

BATCH_ROWS = 2_000


class Floors:
    """Reads, flattens and stores the batches, and measures each step."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/charges"
        # The fastest way in bench/flatten.py.
        self._flattener = Flattener(report("charges").columns)
        self.batches: list[pa.RecordBatch] = []
        self.read_seconds = self.flatten_seconds = 0.0

    async def read(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Reads all ranges in parallel, each as a chain of pages."""
        started = time.process_time()
        headers = {"Authorization": f"Bearer {KEY}", "Accept-Encoding": "gzip"}
        async with aiohttp.ClientSession(auto_decompress=False, headers=headers) as session:
            await asyncio.gather(*(self._chain(session, low, high) for low, high in ranges))
        self._flatten([])
        self.read_seconds = time.process_time() - started - self.flatten_seconds

    async def _chain(self, session: aiohttp.ClientSession, low: int, high: int) -> None:
        params = {"limit": "100", "created[gte]": str(low), "created[lt]": str(high)}
        more = True
        while more:
            async with session.get(self._url, params=params) as response:
                page = orjson.loads(zlib.decompress(await response.read(), wbits=31))
            self._flatten(page["data"])
            more = page["has_more"]
            params["starting_after"] = page["data"][-1]["id"]

    def _flatten(self, objects: list[dict[str, Any]]) -> None:
        started = time.thread_time()
        self._flattener.add(objects)
        if self._flattener.rows >= BATCH_ROWS or (self._flattener.rows and not objects):
            self.batches.append(self._flattener.flush())
        self.flatten_seconds += time.thread_time() - started


def write_parquet(batches: Sequence[pa.RecordBatch], file: Path) -> float:
    """Writes one file; returns CPU seconds."""
    started = time.process_time()
    with pq.ParquetWriter(
        file, batches[0].schema, compression="zstd", compression_level=1, use_dictionary=False
    ) as writer:
        for first in range(0, len(batches), 5):
            table = pa.Table.from_batches(batches[first : first + 5])
            writer.write_table(table, row_group_size=table.num_rows)
    return time.process_time() - started


def load_duckdb(file: Path, database: Path) -> float:
    """Loads one table, in the order of the file; returns CPU seconds."""
    started = time.process_time()
    with duckdb.connect(str(database), config={"threads": "2"}) as connection:
        connection.execute(f"CREATE TABLE charges AS SELECT * FROM read_parquet('{file}')")
    return time.process_time() - started


def main(url: str, ranges: str, folder: Path) -> None:
    # The first array makes pyarrow import pandas, if it is installed; this is not part of the floor.
    pa.array([None])
    floors = Floors(url)
    asyncio.run(floors.read(json.loads(ranges)))
    rows = sum(batch.num_rows for batch in floors.batches)
    seconds = {
        "download and parse": floors.read_seconds,
        "flatten": floors.flatten_seconds,
        "Parquet": write_parquet(floors.batches, folder / "floor.parquet"),
        "DuckDB": load_duckdb(folder / "floor.parquet", folder / "floor.duckdb"),
    }
    print(json.dumps({"rows": rows, "micros": {name: spent / rows * 1e6 for name, spent in seconds.items()}}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
