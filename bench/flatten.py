"""Compares ways to convert JSON to Arrow: rows per CPU second, on charges of 3.4 KB in batches of 4,000.

`python bench/flatten.py FIXTURES` takes the file of Stripe's example objects. Each line shows the median and the range
of five rounds, in user and system time of this process, including decoding. Ways with a missing library are skipped.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import GenericAlias
from typing import Any

import orjson
import pyarrow as pa

from counterfoil.columns.column import Column
from counterfoil.columns.flatten import Flattener
from counterfoil.columns.schema import arrow_types
from counterfoil.reports.catalogue import report

PAGE = 100
BATCH = 4_000
ROUNDS = 5
Way = Callable[[], int]


def pages(fixture: dict[str, Any]) -> list[bytes]:
    """Pages of charges with unique ids, amounts and names, and with keys that only some charges have."""
    chance = random.Random(1)

    def charge() -> dict[str, Any]:
        item: dict[str, Any] = json.loads(json.dumps(fixture))
        item["id"] = f"ch_{chance.getrandbits(96):024x}"
        item["amount"] = chance.randrange(10**6)
        item["currency"] = chance.choice(["usd", "eur", "jpy"])
        item["customer"] = f"cus_{chance.getrandbits(64):016x}"
        item["billing_details"]["email"] = f"{chance.getrandbits(32):08x}@example.com"
        item["metadata"] = {"order": str(chance.randrange(10**9))}
        if chance.random() < 0.3:
            item["presentment_details"] = {"presentment_amount": 1, "presentment_currency": "gbp"}
        return item

    return [orjson.dumps([charge() for _ in range(PAGE)]) for _ in range(BATCH // PAGE)]


def decoded(bodies: Sequence[bytes]) -> list[dict[str, Any]]:
    """The decoded objects of one batch."""
    return [item for body in bodies for item in orjson.loads(body)]


def declared_columns() -> tuple[Column, ...]:
    """The columns of charges."""
    return report("charges").columns


def decode_pages(bodies: Sequence[bytes]) -> Way:
    """The floor of the ways that take pages."""
    return lambda: sum(len(orjson.loads(body)) for body in bodies)


def decode_batch(bodies: Sequence[bytes]) -> Way:
    """The floor of the ways that take a batch, with all its objects in memory."""
    return lambda: len(decoded(bodies))


def by_page(bodies: Sequence[bytes]) -> Way:
    """Our flattening, each page directly after decoding."""
    flattener = Flattener(declared_columns())

    def run() -> int:
        for body in bodies:
            flattener.add(orjson.loads(body))
        return int(flattener.flush().num_rows)

    return run


def by_batch(bodies: Sequence[bytes]) -> Way:
    """Our flattening, the whole batch after decoding."""
    flattener = Flattener(declared_columns())
    return lambda: int(flattener.batch(decoded(bodies)).num_rows)


def generated(bodies: Sequence[bytes]) -> Way:
    """Comprehensions generated from the columns; no drift detection, type checks or major units."""
    columns = [column for column in declared_columns() if column.type != "major"]
    lines = ["def columns(o0):"]
    names: dict[tuple[str, ...], str] = {(): "o0"}
    for column in columns:
        for depth in range(1, len(column.path)):
            path = column.path[:depth]
            if path not in names:
                names[path] = f"o{len(names)}"
                lines.append(f"    {names[path]} = [o.get({path[-1]!r}) or EMPTY for o in {names[path[:-1]]}]")
    cells = [f"[o.get({column.path[-1]!r}) for o in {names[column.path[:-1]]}]" for column in columns]
    lines.append(f"    return [{', '.join(cells)}]")
    scope: dict[str, Any] = {"EMPTY": {}}
    exec("\n".join(lines), scope)
    types = arrow_types()

    def run() -> int:
        values = scope["columns"](decoded(bodies))
        arrays = [_array(column, cells, types[column.type]) for column, cells in zip(columns, values, strict=True)]
        return int(pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns]).num_rows)

    return run


def _array(column: Column, cells: list[Any], kind: Any) -> Any:
    match column.type:
        case "json":
            cells = [None if cell is None else orjson.dumps(cell).decode() for cell in cells]
        case "id":
            cells = [cell["id"] if type(cell) is dict else cell for cell in cells]
        case "timestamp":
            cells = [None if cell is None else cell * 1_000_000 for cell in cells]
    return pa.array(cells, kind)


def row_by_row(bodies: Sequence[bytes]) -> Way:
    """A dictionary per row, then `from_pylist`; no drift detection, type checks or major units."""
    columns = [column for column in declared_columns() if column.type != "major"]
    types = arrow_types()
    schema = pa.schema([(column.name, types[column.type]) for column in columns])

    def cell(item: Any, column: Column) -> Any:
        for key in column.path:
            item = item.get(key) if item else None
        if item is None:
            return None
        match column.type:
            case "json":
                return orjson.dumps(item).decode()
            case "id":
                return item["id"] if type(item) is dict else item
            case "timestamp":
                return item * 1_000_000
            case _:
                return item

    def run() -> int:
        rows = [{column.name: cell(item, column) for column in columns} for item in decoded(bodies)]
        return int(pa.RecordBatch.from_pylist(rows, schema=schema).num_rows)

    return run


def msgspec_structs(bodies: Sequence[bytes]) -> Way:
    """Typed structs decoded from JSON, then a comprehension per column; ignores undeclared fields."""
    msgspec = importlib.import_module("msgspec")
    columns = [column for column in declared_columns() if column.type != "major"]
    raw = msgspec.Raw
    scalar = {"string": str, "integer": int, "boolean": bool, "timestamp": int, "double": float, "decimal": str}

    def struct(path: tuple[str, ...]) -> Any:
        fields: dict[str, Any] = {}
        for column in columns:
            if column.path[: len(path)] == path and len(column.path) > len(path) and not column.derived:
                key = column.path[len(path)]
                if len(column.path) > len(path) + 1:
                    fields.setdefault(key, struct((*path, key)))
                else:
                    fields[key] = raw if column.type == "json" else scalar.get(column.type, Any)
        defaults = [(key, raw, raw()) if kind is raw else (key, kind | None, None) for key, kind in fields.items()]
        return msgspec.defstruct("_".join(("s", *path)), defaults)

    decoder = msgspec.json.Decoder(GenericAlias(list, struct(())))
    types = arrow_types()
    plain = [column for column in columns if not column.derived]

    def run() -> int:
        items = [item for body in bodies for item in decoder.decode(body)]
        arrays = []
        for column in plain:
            cells: list[Any] = items
            for key in column.path:
                cells = [None if item is None else getattr(item, key) for item in cells]
            if column.type == "json":
                arrays.append(pa.array([bytes(cell) or None if cell else None for cell in cells], pa.string()))
            else:
                arrays.append(_array(column, cells, types[column.type]))
        return int(pa.RecordBatch.from_arrays(arrays, names=[column.name for column in plain]).num_rows)

    return run


def duckdb_paths(bodies: Sequence[bytes]) -> Way:
    """JSON text in DuckDB, each column by its path; no drift detection or major units."""
    duckdb = importlib.import_module("duckdb")
    columns = [column for column in declared_columns() if column.type != "major"]
    arrow = {"integer": "BIGINT", "boolean": "BOOLEAN", "timestamp": "BIGINT", "double": "DOUBLE"}
    picks = ", ".join(
        f"(o->>'$.{'.'.join(column.path)}')::{arrow.get(column.type, 'VARCHAR')} AS {column.name}" for column in columns
    )
    connection = duckdb.connect(config={"threads": 1})

    def run() -> int:
        texts = pa.table({"page": pa.array([body.decode() for body in bodies], pa.string())})
        connection.register("pages", texts)
        query = f"SELECT {picks} FROM (SELECT unnest(page::JSON::JSON[]) AS o FROM pages)"
        return len(connection.sql(query).to_arrow_table())

    return run


WAYS: dict[str, tuple[str, Callable[[Sequence[bytes]], Way]]] = {
    "decoding, page by page": ("orjson", decode_pages),
    "decoding, a batch at once": ("orjson", decode_batch),
    "ours, page by page": ("orjson", by_page),
    "ours, a batch at once": ("orjson", by_batch),
    "generated comprehensions": ("orjson", generated),
    "row by row, from_pylist": ("orjson", row_by_row),
    "msgspec structs": ("msgspec", msgspec_structs),
    "DuckDB ->>": ("duckdb", duckdb_paths),
}


def rate(way: Way) -> float:
    """Rows per CPU second of one round."""
    start = time.process_time()
    rows = way()
    return rows / (time.process_time() - start)


def main() -> None:
    """Prints a line per way. Rounds are interleaved, so a busy machine slows all ways equally."""
    if len(sys.argv) != 2:
        sys.exit("usage: python bench/flatten.py FIXTURES")
    bodies = pages(json.loads(Path(sys.argv[1]).read_bytes())["resources"]["charge"])
    print(
        f"{sum(map(len, bodies)) / BATCH:,.0f} bytes a charge, {len(declared_columns())} columns, batches of {BATCH:,}"
    )
    ways = {name: way(bodies) for name, (library, way) in WAYS.items() if importlib.util.find_spec(library) is not None}
    for way in ways.values():
        way()
    rounds = [{name: rate(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    for name, (library, _) in WAYS.items():
        if name not in ways:
            print(f"{name:26} {library} is not installed")
            continue
        rates = sorted(each[name] for each in rounds)
        print(f"{name:26} {statistics.median(rates):>9,.0f} rows/s ({rates[0]:,.0f} to {rates[-1]:,.0f})")


if __name__ == "__main__":
    main()
