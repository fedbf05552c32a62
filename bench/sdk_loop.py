"""A common loop for comparison: Stripe's own client, a list of rows, pandas, DuckDB.

`python -m bench.sdk_loop URL SINCE DATABASE` prints the number of rows as JSON.
"""

from __future__ import annotations

import json
import sys

import duckdb
import pandas as pd  # type: ignore[import-untyped]

import stripe
from bench.processes import KEY


def main(url: str, since: int, database: str) -> None:
    client = stripe.StripeClient(KEY, base_addresses={"api": url})
    charges = client.v1.charges.list({"limit": 100, "created": {"gte": since}})
    rows = [charge.to_dict() for charge in charges.auto_paging_iter()]
    frame = pd.json_normalize(rows)
    with duckdb.connect(database) as connection:
        connection.register("frame", frame)
        connection.execute("CREATE TABLE charges AS SELECT * FROM frame")
    print(json.dumps({"rows": len(frame)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
