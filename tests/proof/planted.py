"""The faults that are planted between Stripe and the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from .conftest import Center

FILE = "stripe.duckdb"


@dataclass(frozen=True)
class Fault:
    """SQL on the tables, or what happens to the archive of the dataset's run, and the check that must find it."""

    name: str
    dataset: str
    plant: str | Callable[[Path], None]
    found_by: str


@dataclass(frozen=True)
class ToldWrongly:
    """What Stripe, or something before it, does while a dataset is read."""

    name: str
    dataset: str
    happens: Callable[[Center], None]
    found_by: str
    method: str = "replace"


def sql(center: Center, statement: str) -> None:
    with duckdb.connect(str(center.settings.home / FILE)) as connection:
        connection.execute(statement)


def _page(archive: Path) -> None:
    """The last frame of the spool is cut off."""
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
    """One row of those is changed."""
    return f"UPDATE {table} SET {change} WHERE id = (SELECT id FROM {table} WHERE {where} ORDER BY created, id LIMIT 1)"


def _lost(table: str, where: str, rows: int = 1) -> str:
    chosen = f"SELECT id FROM {table} WHERE {where} ORDER BY created DESC, id LIMIT {rows}"
    return f"DELETE FROM {table} WHERE id IN ({chosen})"


_MOVES = "balance_transactions"
_MOVED = "(SELECT balance_transaction FROM charges)"
#: Two movements of one currency.
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
    Fault("a row twice", "charges", "INSERT INTO charges FROM charges ORDER BY id LIMIT 1", "keys: double keys"),
    Fault("an amount off by one", "charges", _row("charges", "amount = amount + 1"), "keys: amounts"),
    Fault("an amount off in both units", "charges", _row("charges", _BOTH_UNITS, "currency = 'usd'"), "recount: rows"),
    Fault("a major amount off", "charges", _row("charges", "amount_major = amount_major + 0.001"), "keys: amounts"),
    Fault("a wrong currency", _MOVES, _row(_MOVES, "currency = 'eur'", "currency = 'usd'"), "balance: payments"),
    Fault("a wrong balance type", _MOVES, _row(_MOVES, "balance_type = 'issuing'"), "balance: issuing"),
    Fault("two amounts that changed places", _MOVES, _SWAPPED, "recount: rows"),
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
        "an id of another row",
        "charges",
        _row("charges", f"balance_transaction = (SELECT max(id) FROM {_MOVES})", "balance_transaction IS NOT NULL"),
        "recount: rows",
    ),
    Fault(
        "an id that is nowhere",
        "charges",
        _row("charges", "balance_transaction = 'txn_0'", "balance_transaction IS NOT NULL"),
        "references: balance_transaction in balance_transactions",
    ),
    Fault(
        "a payout of another amount",
        "transfers",
        _row("transfers", "amount = amount + 100, amount_major = amount_major + 1", f"id = {_NEWEST_PAYOUT}"),
        "payouts: payouts",
    ),
    Fault(
        "movements of a payout lost",
        _MOVES,
        _lost(_MOVES, "status = 'available' AND type = 'charge'", 10),
        "payouts: payouts",
    ),
    Fault("a null key", "customers", _row("customers", "id = NULL"), "keys: null keys"),
    Fault("a row edited by hand", "customers", _row("customers", "name = 'Somebody Else'"), "coverage: contents"),
    Fault("a value lost", "charges", _row("charges", "customer = NULL", "customer IS NOT NULL"), "recount: rows"),
    Fault(
        "metadata emptied",
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
    Fault("a page lost from the archive", "charges", _page, "coverage: pages"),
    Fault("a part changed on the disk", "charges", _part_changed, "coverage: parts"),
    Fault("a part lost from the disk", "charges", _part_lost, "coverage: parts"),
)


def _read_with(fault: str, report: str) -> Callable[[Center], None]:
    def happens(center: Center) -> None:
        center.fault(fault, f"/v1/{report}")
        center.run(report)

    return happens


def _stale_row(center: Center) -> None:
    """It changes, and the event that tells of it is not one of its kind."""
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


TOLD_WRONGLY = (
    ToldWrongly("a cut list", "charges", _read_with("cut_list", "charges"), "recount: rows"),
    ToldWrongly("an object that a list left out", _MOVES, _read_with("lost_object", _MOVES), "balance: payments"),
    ToldWrongly("an amount told wrongly", "charges", _read_with("other_amount", "charges"), "recount: rows"),
    ToldWrongly("a stale row", "charges", _stale_row, "recount: rows", method="merge"),
    ToldWrongly("a missed delete", "customers", _missed_delete, "recount: rows", method="merge"),
)
