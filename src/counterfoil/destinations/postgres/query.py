"""User queries on a Postgres database: checked by Postgres' own parser, read-only, and streamed as Arrow.

The result comes by COPY as CSV, which Arrow reads with the types of the query's columns.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pcsv

from counterfoil.destinations.postgres.errors import mapped_query
from counterfoil.destinations.postgres.server import READ_ONLY, Session
from counterfoil.destinations.query_check import OF_A_RUN
from counterfoil.errors import RunError

_HINT = "Use one SELECT over the datasets' tables; for anything else, use psql."
#: Volatile functions without side effects.
_HARMLESS = ("random", "clock_timestamp", "timeofday", "gen_random_uuid", "bernoulli", "system")
#: Ids of functions in a parsed query, as Postgres stores it.
_FUNCTIONS = re.compile(r":(?:funcid|opfuncid|aggfnoid|winfnoid|tsmhandler) (\d+)")
_VOLATILE = """
    SELECT proname FROM pg_proc WHERE oid = ANY(%s::oid[]) AND provolatile = 'v'
    AND NOT (pronamespace = 'pg_catalog'::regnamespace AND proname = ANY(%s)) ORDER BY 1 LIMIT 1
"""
_ANY_AGGREGATE = "SELECT EXISTS (SELECT FROM pg_aggregate WHERE aggfnoid::oid = ANY(%s::oid[]))"
#: Relations of the schema that the query depends on, and whether it names columns that identify runs. A query that
#: depends on every column of a relation contains `*`, which does not count as naming one.
_NAMED = """
    SELECT relation.relname, bool_or(coalesce(attribute.attname = ANY(%s), false))
        AND count(attribute.attnum) < (SELECT count(*) FROM pg_attribute AS every
            WHERE every.attrelid = relation.oid AND every.attnum > 0 AND NOT every.attisdropped)
    FROM pg_depend AS depend
    JOIN pg_class AS relation ON relation.oid = depend.refobjid
    LEFT JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum = depend.refobjsubid
        AND attribute.attnum > 0
    WHERE depend.classid = 'pg_rewrite'::regclass AND depend.refclassid = 'pg_class'::regclass
    AND depend.objid = (SELECT oid FROM pg_rewrite WHERE ev_class = 'pg_temp._counterfoil_question'::regclass)
    AND relation.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
    GROUP BY relation.oid, relation.relname
"""
_BATCH_BYTES = 1 << 20
#: Null is an empty field, an empty string is quoted; a row of one null is an empty line.
_PARSE = pcsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
_CONVERT: dict[str, Any] = {
    "null_values": [""],
    "strings_can_be_null": True,
    "quoted_strings_can_be_null": False,
    "true_values": ["t"],
    "false_values": ["f"],
}
#: By the OID of the type: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat
_TYPES = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    26: pa.int64(),
    700: pa.float32(),
    701: pa.float64(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}
_NUMERIC = 1700
#: Maximum digits of a decimal. `decimal128(_DIGITS, 0)` stands for a column without a declared scale.
_DIGITS = 38


class Question:
    """One checked SELECT, inside a transaction that cannot write."""

    def __init__(self, session: Session, sql: str, place: str, seconds: float | None) -> None:
        self._session = session
        self._sql = sql.strip().removesuffix(";")
        self._place = place
        self._seconds = seconds

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """Maps errors to those that the user sees."""
        with mapped_query(self._place, self._seconds):
            yield

    def check(self) -> None:
        """RunError unless the query is one SELECT with functions that only compute.

        Functions that read files, wait, send signals or change settings are volatile in Postgres. So Postgres' own
        parser and catalog decide what to reject, wherever it is in the query.
        """
        with self._parsed() as functions:
            volatile = self._session.all(_VOLATILE, [functions, list(_HARMLESS)])
        if volatile:
            raise RunError(
                f"{volatile[0][0]}() does more than read the datasets' tables", hint=_HINT, code="query_not_allowed"
            )

    def adds_up(self) -> frozenset[str]:
        """Tables and views of the schema that the query aggregates without using a column that identifies runs."""
        with self._parsed() as functions:
            if not self._session.one(_ANY_AGGREGATE, [functions]):
                return frozenset()
            found = self._session.all(_NAMED, [sorted(OF_A_RUN), self._session.schema])
        return frozenset() if any(names_run for _, names_run in found) else frozenset(name for name, _ in found)

    @contextmanager
    def _parsed(self) -> Iterator[list[int]]:
        """A transaction in which Postgres has parsed the query. Yields the ids of the query's functions."""
        self._session.begin("READ WRITE", seconds=self._seconds)
        try:
            # For a binary result, psycopg uses the protocol that accepts one statement at a time.
            self._session.connection.execute(
                f"CREATE TEMP VIEW _counterfoil_question AS SELECT 1 AS one FROM (\n{self._sql}\n) AS asked",  # noqa: S608 - checked here
                binary=True,
            )
            tree = self._session.one(
                "SELECT ev_action::text FROM pg_rewrite WHERE ev_class = 'pg_temp._counterfoil_question'::regclass"
            )
            yield sorted({int(number) for number in _FUNCTIONS.findall(tree)})
        finally:
            self._session.connection.rollback()

    def schema(self) -> pa.Schema:
        """Names and types of the result's columns. Types that Arrow does not have are text."""
        sql = f"SELECT * FROM (\n{self._sql}\n) AS asked LIMIT 0"  # noqa: S608 - checked
        described = self._session.connection.execute(sql, binary=True).description or ()
        if not described:
            raise RunError("the query selects no columns", hint=_HINT)
        return pa.schema([pa.field(column.name, _type(column)) for column in described])

    def batches(self, schema: pa.Schema) -> Generator[pa.RecordBatch, None, None]:
        """The rows of the result."""
        cursor = self._session.connection.cursor()
        with cursor.copy(f"COPY (\n{self._sql}\n) TO STDOUT (FORMAT csv)") as copy:
            rows: list[bytes] = []
            size = 0
            # Each piece that COPY sends is a row.
            for row in copy:
                rows.append(bytes(row))
                size += len(row)
                if size >= _BATCH_BYTES:
                    yield _parsed(b"".join(rows), schema)
                    rows, size = [], 0
            if rows:
                yield _parsed(b"".join(rows), schema)


def added_up(session: Session, sql: str, place: str, seconds: float | None) -> frozenset[str]:
    """See `Question.adds_up`."""
    question = Question(session, sql, place, seconds)
    with question.mapped():
        return question.adds_up()


def ask(session: Session, sql: str, place: str, seconds: float | None, held: ExitStack) -> pa.RecordBatchReader:
    """The result as a stream; `held` is closed after the last batch, or when the rest is dropped."""
    question = Question(session, sql, place, seconds)
    with question.mapped():
        if "\0" in sql:
            raise RunError("the query contains a NUL character", hint="Remove it.")
        question.check()
        session.begin(READ_ONLY, seconds=seconds)
        schema = question.schema()
        batches = question.batches(schema)
        first = next(batches, None)
    schema = _settled(schema, first)
    return pa.RecordBatchReader.from_batches(schema, _rest(question, schema, first, batches, held.pop_all()))


def _rest(
    question: Question,
    schema: pa.Schema,
    first: pa.RecordBatch | None,
    batches: Generator[pa.RecordBatch, None, None],
    held: ExitStack,
) -> Iterator[pa.RecordBatch]:
    with held, question.mapped(), closing(batches):
        if first is not None:
            yield _cast(first, schema)
        for batch in batches:
            yield _cast(batch, schema)


def _parsed(text: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Parses complete rows of CSV."""
    names = [f"c{number}" for number in range(len(schema))]
    table = pcsv.read_csv(
        pa.BufferReader(text),
        read_options=pcsv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        parse_options=_PARSE,
        convert_options=pcsv.ConvertOptions(
            column_types={name: _read(field.type) for name, field in zip(names, schema, strict=True)}, **_CONVERT
        ),
    )
    (batch,) = table.combine_chunks().to_batches()
    return batch


def _type(column: psycopg.Column) -> pa.DataType:
    if column.type_code == _NUMERIC:
        if column.precision is None or column.precision > _DIGITS or not 0 <= (column.scale or 0) <= column.precision:
            return pa.decimal128(_DIGITS, 0)
        return pa.decimal128(column.precision, column.scale or 0)
    return _TYPES.get(column.type_code, pa.string())


def _read(kind: pa.DataType) -> pa.DataType:
    """The type to read a column as: text for a decimal without a declared scale."""
    return pa.string() if kind == pa.decimal128(_DIGITS, 0) else kind


def _settled(schema: pa.Schema, first: pa.RecordBatch | None) -> pa.Schema:
    """The schema with the scale of the first rows for such decimals. Sums have one scale in all rows."""
    fields = []
    for number, field in enumerate(schema):
        kind = field.type
        if kind == pa.decimal128(_DIGITS, 0) and first is not None:
            kind = _decimal(first.column(number).to_pylist())
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


def _decimal(texts: list[str | None]) -> pa.DataType:
    whole, behind = 0, 0
    for text in texts:
        if text is None:
            continue
        if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            return pa.float64()  # NaN and infinity
        front, _, back = text.lstrip("-").partition(".")
        whole, behind = max(whole, len(front)), max(behind, len(back))
    if whole > _DIGITS:
        return pa.float64()
    return pa.decimal128(_DIGITS, min(behind, _DIGITS - whole))


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        _exact(column, field.type) if column.type != field.type else column
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _exact(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Decimals from text. Later rows are truncated to the scale of the first ones."""
    if not pa.types.is_decimal(kind):
        return column.cast(kind)
    texts = [
        text if text is None or "." not in text else text[: text.index(".") + 1 + kind.scale].rstrip(".")
        for text in column.to_pylist()
    ]
    return pa.array(texts, pa.string()).cast(kind)
