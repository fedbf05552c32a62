"""The Python examples of the README work as described."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import polars
import pyarrow as pa
import pytest

import counterfoil

from .conftest import KEY, Stripe


def test_reader_has_schema_before_first_batch(stripe: Stripe) -> None:
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        reader = connection.read("charges")
        assert isinstance(reader, counterfoil.Reader)
        assert reader.schema.field("amount_major").type == pa.decimal128(22, 3)
        assert reader.schema.field("created").type == pa.timestamp("us", "UTC")
        table = reader.read_all()
    assert sorted(table["id"].to_pylist()) == sorted(one["id"] for one in stripe.all("/v1/charges"))
    (account,) = table["_account"].unique().to_pylist()
    assert account == stripe.control("truth/account")["id"]


def test_pandas_polars_and_duckdb_read_the_stream(stripe: Stripe) -> None:
    expected = sum(Decimal(one["amount"]) / 100 for one in stripe.all("/v1/charges") if one["currency"] == "usd")
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        frame = connection.read("charges").read_pandas()
        assert frame[frame["currency"] == "usd"]["amount_major"].sum() == expected
        loaded = polars.from_arrow(connection.read("charges").read_all())
        assert isinstance(loaded, polars.DataFrame)
        assert loaded.filter(polars.col("currency") == "usd")["amount_major"].sum() == expected
        reader = connection.read("charges")
        (summed,) = duckdb.sql("SELECT sum(amount_major) FROM reader WHERE currency = 'usd'").fetchall()[0]
        assert reader.schema is not None
    assert summed == expected


def test_reader_can_be_closed_early(stripe: Stripe) -> None:
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        reader = connection.read("balance_transactions")
        first = reader.read_next_batch()
        assert first.num_rows > 0
        reader.close()


def test_reader_raises_error_of_stripe(stripe: Stripe) -> None:
    with counterfoil.connect("sk_test_unknown12345678", api_base=stripe.url) as connection:
        reader = connection.read("charges")
        with pytest.raises(counterfoil.KeyRejected):
            reader.read_all()


def test_repr_of_connection_masks_key(stripe: Stripe) -> None:
    with counterfoil.connect("sk_test_demosecret0123456789", api_base=stripe.url) as connection:
        assert "secret" not in repr(connection)
        assert "6789" in repr(connection)
