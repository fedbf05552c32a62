"""Faults planted between Stripe and the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from .conftest import Center

FILE = "stripe.duckdb"


@dataclass(frozen=True)
class Fault:
    """A fault planted after a run: SQL for the tables, or a function that changes the run's archive."""

    name: str
    dataset: str
    plant: str | Callable[[Path], None]
    #: The check that must find it.
    found_by: str


@dataclass(frozen=True)
class ReadFault:
    """A fault of Stripe, or of the connection to it, while a dataset is read."""

    name: str
    dataset: str
    plant: Callable[[Center], None]
    found_by: str
    method: str = "replace"


def sql(center: Center, statement: str) -> None:
    with duckdb.connect(str(center.settings.home / FILE)) as connection:
        connection.execute(statement)


def _page(archive: Path) -> None:
    """Cuts off the end of the last frame of the spool."""
    spool = archive / "pages.spool"
    spool.write_bytes(spool.read_bytes()[:-50])


def _part_changed(archive: Path) -> None:
    (part,) = archive.glob("part-*.parquet")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)


def _part_lost(archive: Path) -> None:
    (part,) = archive.glob("part-*.parquet")
    part.unlink()


def _row(table: str, change: str, where: str = "true") -> str:
    """SQL that changes the first row that meets the condition."""
    return f"UPDATE {table} SET {change} WHERE id = (SELECT id FROM {table} WHERE {where} ORDER BY created, id LIMIT 1)"


def _lost(table: str, where: str, rows: int = 1) -> str:
    """SQL that deletes the newest rows that meet the condition."""
    chosen = f"SELECT id FROM {table} WHERE {where} ORDER BY created DESC, id LIMIT {rows}"
    return f"DELETE FROM {table} WHERE id IN ({chosen})"


_MOVES = "balance_transactions"
_MOVED = "(SELECT balance_transaction FROM charges)"
#: Two balance transactions in the same currency.
_PAIR = """
    SELECT min(id) AS a, max(id) AS b FROM balance_transactions WHERE currency = 'usd' AND balance_type = 'payments'
"""
_SWAPPED = f"""
    UPDATE balance_transactions AS one SET net = other.net, net_major = other.net_major
    FROM balance_transactions AS other, ({_PAIR}) AS pair
    WHERE (one.id = a AND other.id = b) OR (one.id = b AND other.id = a)
"""
_CHARGE_LOST = "references: source in charges"
_NEWEST_PAYOUT = "(SELECT arg_max(id, created) FROM transfers WHERE _kind = 'payout' AND currency = 'eur')"
_BOTH_UNITS = "amount = amount + 1, amount_major = (amount + 1) / 100.0"

FAULTS = (
    Fault("a lost page", "charges", _lost("charges", "true", 100), "recount: rows"),
    Fault("a lost page of movements", _MOVES, _lost(_MOVES, "true", 100), "balance: payments"),
    Fault("a lost row", "customers", _lost("customers", "true"), "recount: rows"),
    Fault("a duplicate row", "charges", "INSERT INTO charges FROM charges ORDER BY id LIMIT 1", "keys: double keys"),
    Fault("an amount off by one", "charges", _row("charges", "amount = amount + 1"), "keys: amounts"),
    Fault("an amount off in both units", "charges", _row("charges", _BOTH_UNITS, "currency = 'usd'"), "recount: rows"),
    Fault("a major amount off", "charges", _row("charges", "amount_major = amount_major + 0.001"), "keys: amounts"),
    Fault("a wrong currency", _MOVES, _row(_MOVES, "currency = 'eur'", "currency = 'usd'"), "balance: payments"),
    Fault("a wrong balance type", _MOVES, _row(_MOVES, "balance_type = 'issuing'"), "balance: issuing"),
    Fault("two swapped amounts", _MOVES, _SWAPPED, "recount: rows"),
    Fault(
        "a lost balance transaction",
        "charges",
        _lost(_MOVES, f"id IN {_MOVED}"),
        "references: balance_transaction in balance_transactions",
    ),
    Fault("a lost charge", _MOVES, _lost("charges", f"id IN (SELECT source FROM {_MOVES})"), _CHARGE_LOST),
    Fault(
        "a refund without its charge",
        "refunds",
        _lost("charges", "id IN (SELECT charge FROM refunds)"),
        "references: charge in charges",
    ),
    Fault(
        "an id of the wrong object",
        "charges",
        _row("charges", f"balance_transaction = (SELECT max(id) FROM {_MOVES})", "balance_transaction IS NOT NULL"),
        "recount: rows",
    ),
    Fault(
        "an id without an object",
        "charges",
        _row("charges", "balance_transaction = 'txn_0'", "balance_transaction IS NOT NULL"),
        "references: balance_transaction in balance_transactions",
    ),
    Fault(
        "a payout with a wrong amount",
        "transfers",
        _row("transfers", "amount = amount + 100, amount_major = amount_major + 1", f"id = {_NEWEST_PAYOUT}"),
        "payouts: payouts",
    ),
    Fault(
        "lost movements of a payout",
        _MOVES,
        _lost(_MOVES, "status = 'available' AND type = 'charge'", 10),
        "payouts: payouts",
    ),
    Fault("a null key", "customers", _row("customers", "id = NULL"), "keys: null keys"),
    Fault("a manually edited row", "customers", _row("customers", "name = 'Another Name'"), "coverage: contents"),
    Fault("a lost value", "charges", _row("charges", "customer = NULL", "customer IS NOT NULL"), "recount: rows"),
    Fault(
        "emptied metadata",
        "customers",
        _row("customers", "metadata = '{}'", "metadata::VARCHAR <> '{}'"),
        "recount: rows",
    ),
    Fault(
        "a time shifted by an hour", "charges", _row("charges", "created = created - INTERVAL 1 HOUR"), "recount: rows"
    ),
    Fault(
        "a time of another century",
        "charges",
        _row("charges", "created = TIMESTAMPTZ '1970-01-01 00:00:00+00'"),
        "keys: instants",
    ),
    Fault("a page missing from the archive", "charges", _page, "coverage: pages"),
    Fault("a part changed on disk", "charges", _part_changed, "coverage: parts"),
    Fault("a part missing on disk", "charges", _part_lost, "coverage: parts"),
)


def _read_with(fault: str, report: str) -> Callable[[Center], None]:
    def plant(center: Center) -> None:
        center.fault(fault, f"/v1/{report}")
        center.run(report)

    return plant


def _stale_row(center: Center) -> None:
    """Changes an object; the event has a type that does not belong to the report."""
    center.run("charges")
    center.later(hours=1)
    control = {"kind": "charge", "id": center.truth("charges")[0], "fields": {"description": "changed"}}
    center.stripe.control("objects", action="update", event="customer.source.expiring", **control)
    center.later(hours=1)
    center.run("charges")


def _missed_delete(center: Center) -> None:
    center.run("customers")
    center.stripe.control("objects", action="delete", kind="customer", id=center.truth("customers")[3])
    center.later(hours=1)
    center.run("customers")
    sql(center, "UPDATE customers SET _deleted = false, _deleted_at = NULL")


READ_FAULTS = (
    ReadFault("a cut list", "charges", _read_with("cut_list", "charges"), "recount: rows"),
    ReadFault("an object missing from a list", _MOVES, _read_with("lost_object", _MOVES), "balance: payments"),
    ReadFault("a wrong amount", "charges", _read_with("other_amount", "charges"), "recount: rows"),
    ReadFault("a stale row", "charges", _stale_row, "recount: rows", method="merge"),
    ReadFault("a missed delete", "customers", _missed_delete, "recount: rows", method="merge"),
)
