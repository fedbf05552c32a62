"""A reader returns its rows once, to any consumer of Arrow data."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset
import pytest

import counterfoil
from counterfoil.settings import load_settings
from counterfoil.stripe.client import Client
from counterfoil.stripe.key import Key
from stripe_sandbox import Sandbox
from tests.app.conftest import FULL


@pytest.fixture
def stripe(sandbox: Sandbox) -> Iterator[counterfoil.Connection]:
    with counterfoil.connect(FULL, api_base=sandbox.url) as connection:
        yield connection


def _scanned(reader: counterfoil.Reader) -> int:
    assert reader.schema is not None  # DuckDB finds the variable by its name
    return int(duckdb.sql("SELECT count(*) FROM reader").fetchall()[0][0])


def _written(reader: counterfoil.Reader) -> int:
    rows: int = pyarrow.dataset.Scanner.from_batches(reader).to_table().num_rows
    return rows


USES: dict[str, Callable[[counterfoil.Reader], int]] = {
    "read_all": lambda reader: reader.read_all().num_rows,
    "read_pandas": lambda reader: len(reader.read_pandas()),
    "iteration": lambda reader: sum(batch.num_rows for batch in reader),
    "next": lambda reader: next(reader).num_rows + reader.read_all().num_rows,
    "polars of a table": lambda reader: len(polars.from_arrow(reader.read_all())),
    "polars": lambda reader: len(polars.DataFrame(reader)),
    "duckdb by name": _scanned,
    "pyarrow table": lambda reader: pa.table(reader).num_rows,
    "pyarrow reader": lambda reader: pa.RecordBatchReader.from_stream(reader).read_all().num_rows,
    "pyarrow dataset": _written,
}


@pytest.mark.parametrize("use", USES)
def test_each_arrow_consumer_gets_all_rows_once(use: str, stripe: counterfoil.Connection) -> None:
    reader = stripe.read("customers")
    assert USES[use](reader) == stripe.read("customers").read_all().num_rows > 0
    for other in USES.values():
        with pytest.raises((counterfoil.RunError, duckdb.Error, pa.ArrowInvalid), match="no more rows"):
            other(reader)


def test_reading_an_exhausted_reader_raises(stripe: counterfoil.Connection) -> None:
    reader = stripe.read("recipients")
    assert reader.read_all().num_rows == 0
    for read in (reader.read_all, reader.read_pandas, reader.read_next_batch, lambda: iter(reader)):
        with pytest.raises(counterfoil.RunError) as caught:
            read()
        assert caught.value.code == "reader_exhausted"
        assert "read()" in (caught.value.hint or "")


def test_end_raises_stop_iteration_before_an_error(stripe: counterfoil.Connection) -> None:
    reader = stripe.read("account")
    assert reader.read_next_batch().num_rows == 1
    with pytest.raises(StopIteration):
        reader.read_next_batch()
    with pytest.raises(counterfoil.RunError):
        reader.read_next_batch()


def test_reading_a_closed_reader_raises(stripe: counterfoil.Connection) -> None:
    with stripe.read("charges") as reader:
        first = reader.read_next_batch()
    assert first.schema == reader.schema
    with pytest.raises(counterfoil.RunError) as caught:
        reader.read_all()
    assert caught.value.code == "reader_closed"


def test_stream_of_another_consumer_cannot_be_read(stripe: counterfoil.Connection) -> None:
    reader = stripe.read("customers")
    other = pa.RecordBatchReader.from_stream(reader)
    with pytest.raises(counterfoil.RunError) as caught:
        reader.read_all()
    assert caught.value.code == "reader_taken"
    assert other.read_all().num_rows == stripe.read("customers").read_all().num_rows


@pytest.mark.parametrize("started", [False, True])
def test_reading_after_the_connection_closed_raises(started: bool, own_sandbox: Sandbox) -> None:
    with counterfoil.connect(FULL, api_base=own_sandbox.url) as stripe:
        reader = stripe.read("balance_transactions")
        if started:
            reader.read_next_batch()
    with pytest.raises(counterfoil.RunError) as caught:
        reader.read_all()
    assert caught.value.code == "connection_closed"
    for use in (lambda: stripe.read("charges"), stripe.account, lambda: stripe.windows("charges", 2)):
        with pytest.raises(counterfoil.RunError) as caught:
            use()
        assert caught.value.code == "connection_closed"


def test_failed_reader_does_not_look_exhausted(own_sandbox: Sandbox) -> None:
    with counterfoil.connect("sk_test_nobody12345678", api_base=own_sandbox.url) as stripe:
        reader = stripe.read("charges")
        with pytest.raises(counterfoil.KeyRejected):
            reader.read_next_batch()
        for read in (reader.read_next_batch, reader.read_all, lambda: list(reader)):
            with pytest.raises(counterfoil.RunError) as caught:
                read()
            assert caught.value.code == "reader_failed"
            assert isinstance(caught.value.__cause__, counterfoil.KeyRejected)


def test_error_reaches_other_consumers(own_sandbox: Sandbox) -> None:
    with counterfoil.connect("sk_test_nobody12345678", api_base=own_sandbox.url) as stripe:
        reader = stripe.read("charges")
        with pytest.raises(duckdb.Error):
            _scanned(reader)
        with pytest.raises(counterfoil.RunError) as caught:
            reader.read_all()
        assert caught.value.code == "reader_failed"


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_objects_with_a_key_cannot_be_pickled_or_copied(copied: Callable[[Any], Any], sandbox: Sandbox) -> None:
    with counterfoil.connect(FULL, api_base=sandbox.url) as stripe:
        client = Client(FULL, api_base=sandbox.url, settings=load_settings())
        for secret in (stripe, stripe.read("charges"), client, Key(FULL), {"deep": [stripe]}):
            if isinstance(secret, dict) and copied is copy.copy:
                continue
            with pytest.raises(TypeError, match=r"pickled? or cop(y|ied)") as caught:
                copied(secret)
            assert FULL not in str(caught.value)


FORKED = """
import os, sys, counterfoil
url, key = sys.argv[1:]
with counterfoil.connect(key, api_base=url) as stripe:
    reader = stripe.read("charges")
    rows = reader.read_next_batch().num_rows
    child = os.fork()
    if child == 0:
        for use in (reader.read_all, stripe.account, lambda: stripe.read("charges"), lambda: stripe.pull("charges")):
            try:
                use()
            except counterfoil.RunError as error:
                print(error.code, flush=True)
        with counterfoil.connect(key, api_base=url) as own:
            print(own.read("customers").read_all().num_rows, flush=True)
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), rows + reader.read_all().num_rows)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_forked_child_cannot_use_connection_but_opens_its_own(sandbox: Sandbox) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, sandbox.url, FULL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    with counterfoil.connect(FULL, api_base=sandbox.url) as stripe:
        charges, customers = (stripe.read(report).read_all().num_rows for report in ("charges", "customers"))
    assert done.stderr == ""
    assert done.stdout.split("\n")[:-1] == [*4 * ["connection_forked"], str(customers), f"0 {charges}"]
