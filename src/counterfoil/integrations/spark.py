"""A Python data source of Spark 4: `spark.read.format("counterfoil").option("report", "charges").load()`.

Partitions are windows of `created`. The executors read them in parallel, each with an equal share of the account's
rate limits. The key itself is not an option, because Spark shows options; an option contains a reference to it.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import counterfoil
from counterfoil.integrations import engine

if TYPE_CHECKING:
    import pyarrow as pa

with engine("pyspark", extra="spark"):
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

__all__ = ["CounterfoilDataSource"]

OPTIONS = ("report", "since", "until", "partitions", "key", "account", "api_base")
OF_REPORT = "option."  # prefix of the report's options: `option.status`


class CounterfoilDataSource(DataSource):
    """Register it once: `spark.dataSource.register(CounterfoilDataSource)`. See `OPTIONS` for the options."""

    def __init__(self, options: MutableMapping[str, str]) -> None:
        super().__init__(options)
        unknown = [name for name in options if name not in OPTIONS and not name.startswith(OF_REPORT)]
        if unknown:
            raise counterfoil.SettingsError(
                f"unknown option: {unknown[0]!r}", hint=f"Use one of: {', '.join(OPTIONS)}, option.NAME."
            )
        if "report" not in options:
            raise counterfoil.SettingsError("no report given", hint='Pass it with .option("report", "charges").')
        if not options.get("key", "env:").startswith(("env:", "file:")):
            raise counterfoil.SettingsError(
                "the option key contains a key, which Spark would show",
                hint="Use a reference that works on each machine: env:STRIPE_API_KEY or file:/path.",
            )

    @classmethod
    def name(cls) -> str:
        return "counterfoil"

    def schema(self) -> StructType:
        """The report's columns, without a request to Stripe."""
        return from_arrow_schema(counterfoil.describe(self.options["report"]).schema)

    def reader(self, schema: StructType) -> Reader:
        return Reader(dict(self.options), tuple(schema.names))


@dataclass
class Part(InputPartition):
    """A window, and the total number of windows."""

    window: counterfoil.Window
    count: int


@dataclass
class Reader(DataSourceReader):
    """Reads on the executors, to which Spark sends it. `columns` are the columns of its batches."""

    options: dict[str, str]
    columns: tuple[str, ...]

    def partitions(self) -> Sequence[Part]:
        """At most as many windows as requested, chosen by a few sample pages of the list."""
        wanted = self.options.get("partitions", "4")
        if not wanted.isdecimal():
            raise counterfoil.SettingsError(f"invalid partitions: {wanted!r}", hint="Use a whole number of 1 or more.")
        report, since, until = (self.options.get(name) for name in ("report", "since", "until"))
        with self._connected(1) as stripe:
            windows = stripe.windows(report or "", int(wanted), since=since, until=until, options=self._of_report)
        return [Part(window, len(windows)) for window in windows]

    def read(self, partition: Part) -> Iterator[pa.RecordBatch]:
        """The rows of a window, in the order of their arrival."""
        window = partition.window
        with self._connected(partition.count) as stripe:
            report, options = self.options["report"], self._of_report
            for batch in stripe.read(report, since=window.since, until=window.until, options=options):
                yield batch.select(self.columns)

    def _connected(self, processes: int) -> counterfoil.Connection:
        account, api_base = self.options.get("account"), self.options.get("api_base")
        key = self.options.get("key", "env:STRIPE_API_KEY")
        return counterfoil.connect(key, api_base=api_base, stripe_account=account, processes=processes)

    @property
    def _of_report(self) -> dict[str, str]:
        return {n.removeprefix(OF_REPORT): value for n, value in self.options.items() if n.startswith(OF_REPORT)}
