"""What the README shows of Python is true."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import polars
import pyarrow as pa
import pytest

import counterfoil

from .conftest import KEY, Stripe


def test_a_report_is_a_stream_of_batches_with_a_schema_known_before(stripe: Stripe) -> None:
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        reader = connection.read("charges")
        assert isinstance(reader, counterfoil.Reader)
        assert reader.schema.field("amount_major").type == pa.decimal128(22, 3)
        assert reader.schema.field("created").type == pa.timestamp("us", "UTC")
        table = reader.read_all()
    assert sorted(table["id"].to_pylist()) == sorted(one["id"] for one in stripe.all("/v1/charges"))
    (account,) = table["_account"].unique().to_pylist()
    assert account == stripe.control("truth/account")["id"]


def test_pandas_polars_and_duckdb_take_the_stream(stripe: Stripe) -> None:
    expected = sum(Decimal(one["amount"]) / 100 for one in stripe.all("/v1/charges") if one["currency"] == "usd")
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        frame = connection.read("charges").read_pandas()
        assert frame[frame["currency"] == "usd"]["amount_major"].sum() == expected
        told = polars.from_arrow(connection.read("charges").read_all())
        assert isinstance(told, polars.DataFrame)
        assert told.filter(polars.col("currency") == "usd")["amount_major"].sum() == expected
        reader = connection.read("charges")
        (summed,) = duckdb.sql("SELECT sum(amount_major) FROM reader WHERE currency = 'usd'").fetchall()[0]
        assert reader.schema is not None
    assert summed == expected


def test_a_stream_that_is_left_early_ends_without_a_word(stripe: Stripe) -> None:
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        reader = connection.read("balance_transactions")
        first = reader.read_next_batch()
        assert first.num_rows > 0
        reader.close()


def test_an_error_of_stripes_reaches_the_reader_of_the_stream_as_what_it_is(stripe: Stripe) -> None:
    with counterfoil.connect("sk_test_nobody12345678", api_base=stripe.url) as connection:
        reader = connection.read("charges")
        with pytest.raises(counterfoil.KeyRejected):
            reader.read_all()


def test_a_connection_shows_no_key_when_printed(stripe: Stripe) -> None:
    with counterfoil.connect("sk_test_demosecret0123456789", api_base=stripe.url) as connection:
        assert "secret" not in repr(connection)
        assert "6789" in repr(connection)
