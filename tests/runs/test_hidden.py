"""Omitted and hashed columns: their values are stored nowhere, and equal values have equal hashes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from counterfoil.archive import read_spool
from counterfoil.state.datasets import Choice, Target

from .conftest import FILE, Center

EMAIL = "billing_details_email"


def stored_files(center: Center) -> dict[Path, bytes]:
    """The contents of all files in the home."""
    return {path: path.read_bytes() for path in center.settings.home.rglob("*") if path.is_file()}


def test_omitted_and_hashed_values_are_stored_nowhere(center: Center) -> None:
    """The column for unknown fields does not have them either."""
    addresses = {}
    for number in range(3):
        addresses[number] = f"hidden{number}@example.org"
        fields = {
            "receipt_email": addresses[number],
            "billing_details": {
                "address": None,
                "email": addresses[number],
                "name": f"Hidden Name {number}",
                "phone": None,
                "tax_id": None,
                "new_field": "kept",
            },
        }
        center.create("charge", fields=fields)
    choice = Choice(hashed=(EMAIL,), left_out=("receipt_email", "billing_details_name"))
    run = center.run(center.dataset("charges", choice=choice))
    assert run.status == "succeeded", run.error
    ((rows, distinct),) = center.rows(
        f"SELECT count({EMAIL}), count(DISTINCT {EMAIL}) FROM charges WHERE _extra::VARCHAR LIKE '%new_field%'"
    )
    assert (rows, distinct) == (3, 3)
    spooled = [str(row) for page in read_spool(center.archive(run) / "pages.spool") for row in page.objects]
    tables = [row[0] for row in center.snapshot("charges")]
    state = [
        str(row)
        for (table,) in _sqlite(center, "SELECT name FROM sqlite_master WHERE type = 'table'")
        for row in _sqlite(center, f'SELECT * FROM "{table}"')
    ]
    for hidden in ("hidden", "Hidden Name"):
        assert not [text for text in (*spooled, *tables, *state) if hidden in text]
        assert not [path for path, content in stored_files(center).items() if hidden.encode() in content]
    assert any("new_field" in text for text in spooled)


def _sqlite(center: Center, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(center.settings.home / "state.db") as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_second_attempt_hashes_the_same_columns_as_the_first(center: Center) -> None:
    charges = center.dataset("charges", choice=Choice(hashed=(EMAIL,)))
    center.fault("should_not_retry", "/v1/charges", count=1, skip=2)
    run = center.run(charges, "schedule")
    assert run.status == "waiting"
    center.datasets.edit("charges", choice=Choice())
    center.attempt(run, 2)
    assert center.runs.get(run.id).status == "succeeded"
    assert center.rows(f"SELECT count(*) FROM charges WHERE {EMAIL} LIKE '%@%'") == [(0,)]
    assert center.rows(f"SELECT count({EMAIL}) > 0 FROM charges") == [(True,)]


def test_hashes_match_across_datasets_runs_and_master_keys_of_an_account(center: Center) -> None:
    center.run(center.dataset("charges", choice=Choice(hashed=(EMAIL,))))
    center.run(center.dataset("charges", "again", choice=Choice(hashed=(EMAIL,))))
    same = f"""SELECT count(*) FROM charges JOIN "again" USING (id) WHERE charges.{EMAIL} = "again".{EMAIL}"""
    ((joined,),) = center.rows(same)
    assert joined == center.rows(f"SELECT count({EMAIL}) FROM charges")[0][0] > 0
    center.accounts.rotate()
    center.hash_keys.rotate()
    center.run("again")
    assert center.rows(same) == [(joined,)]
    center.account("Other")
    center.run(center.dataset("charges", "other", account="Other", choice=Choice(hashed=(EMAIL,))))
    assert center.rows(same.replace('"again"', '"other"')) == [(0,)]


def test_keys_are_never_stored_in_plain_text(center: Center) -> None:
    secret = "sk_test_demo" + "51SecretOfThisTest"
    center.account(key=secret)
    charges = center.dataset("charges", targets=(Target(url=f"duckdb:///{FILE}", table="charges"),))
    center.run(charges)
    center.stripe.control("keys", key=secret, refused=True)
    assert center.run(charges).status == "failed"
    assert not [path for path, content in stored_files(center).items() if b"SecretOfThisTest" in content]
