"""Accounts: names, encrypted keys, references to keys, lost master keys and rotation."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from counterfoil.errors import AccountError, NameTaken, RunError, SettingsError
from counterfoil.settings import Settings
from counterfoil.state import State
from counterfoil.state.accounts import Account, Accounts, Checked
from counterfoil.state.datasets import Dataset, Datasets
from counterfoil.state.runs import Runs
from counterfoil.state.tables import accounts as table
from counterfoil.state.vault import Vault
from tests.state.conftest import KEY, StandingClock

ONE, TWO = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))
OTHER = "sk_test_" + "51Another" + "1111"
SHOWN = {"shown": "sk_test_…4242", "fingerprint": "f1"}


def _with_ring(state: State, settings: Settings, ring: str) -> Accounts:
    return Accounts(state, Vault(Settings(home=settings.home, secret_key=ring)))  # type: ignore[arg-type]


def test_added_account_is_returned_unchanged(accounts: Accounts, clock: StandingClock) -> None:
    checked = Checked(
        at=clock(),
        livemode=False,
        stripe_id="acct_1",
        display_name="The Shop",
        readable=("charges", "refunds"),
        missing={"customers": "rak_customer_read"},
    )
    added = accounts.add("Shop", key=KEY, stripe_account="acct_2", checked=checked, **SHOWN)
    assert added == accounts.get("Shop") == accounts.get(added.id) == accounts.list()[0]
    assert added.id.startswith("acc_")
    assert (added.status, added.problem, added.livemode, added.stripe_id) == ("ok", None, False, "acct_1")
    assert (added.readable, added.missing) == (("charges", "refunds"), {"customers": "rak_customer_read"})
    assert (added.api_base, added.stripe_account) == ("https://api.stripe.com", "acct_2")
    assert added.created_at == added.checked_at == clock()
    assert accounts.key("Shop") == KEY


@pytest.mark.sqlite
def test_state_files_contain_no_plain_key(accounts: Accounts, account: Account, settings: Settings) -> None:
    accounts.replace_key(account.id, key=OTHER, **SHOWN)
    found = b"".join(file.read_bytes() for file in settings.home.rglob("*") if file.is_file())
    assert b"Shop" in found
    assert KEY.encode() not in found
    assert OTHER.encode() not in found


def test_repr_contains_no_key(accounts: Accounts, account: Account) -> None:
    assert KEY not in f"{account!r} {accounts!r} {asdict(account)!r}"


def test_duplicate_name_is_rejected(accounts: Accounts, account: Account) -> None:
    with pytest.raises(NameTaken, match="account 'Shop'"):
        accounts.add(" Shop ", key=OTHER, **SHOWN)
    other = accounts.add("Other", key=OTHER, **SHOWN)
    with pytest.raises(NameTaken, match="account 'Shop'"):
        accounts.rename(other.id, "Shop")
    assert accounts.rename("Shop", "Shop") == account


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "two\nlines", "acc_0123456789ab", KEY])
def test_invalid_name_is_rejected(accounts: Accounts, name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        accounts.add(name, key=KEY, **SHOWN)
    assert KEY not in f"{caught.value.message}{caught.value.hint}"
    assert accounts.list() == ()


def test_unknown_account_suggests_nearest_name(accounts: Accounts, account: Account) -> None:
    with pytest.raises(SettingsError, match="'shopp'") as caught:
        accounts.get("shopp")
    assert caught.value.code == "account_not_found"
    assert "'Shop'" in (caught.value.hint or "")


def test_an_account_is_renamed(accounts: Accounts, account: Account) -> None:
    assert accounts.rename("Shop", "Market").name == accounts.get(account.id).name == "Market"
    assert accounts.key("Market") == KEY


def test_replacing_key_deletes_test_result_of_old_key(
    accounts: Accounts, account: Account, clock: StandingClock
) -> None:
    accounts.set_check(account.id, Checked(at=clock(), status="rejected", problem=f"Stripe rejected {KEY}."))
    assert accounts.get("Shop").status == "rejected"
    assert accounts.get("Shop").problem == "Stripe rejected sk_test_…."
    replaced = accounts.replace_key("Shop", key=OTHER, shown="sk_test_…1111", fingerprint="f2")
    assert (replaced.status, replaced.problem, replaced.checked_at) == ("ok", None, None)
    assert (replaced.shown, replaced.fingerprint) == ("sk_test_…1111", "f2")
    assert accounts.key("Shop") == OTHER


def test_reference_is_resolved_when_key_is_used(
    accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    accounts.add("From environment", reference="env:SHOP_KEY", **SHOWN)
    accounts.add("From file", reference=f"file:{tmp_path}/key", **SHOWN)
    for name, source in (("From environment", "SHOP_KEY"), ("From file", f"{tmp_path}/key")):
        with pytest.raises(SettingsError, match=source):
            accounts.key(name)
    monkeypatch.setenv("SHOP_KEY", KEY)
    (tmp_path / "key").write_text(f"{OTHER}\n")
    assert accounts.key("From environment") == KEY
    assert accounts.key("From file") == OTHER
    assert not (settings.home / "secret.key").exists()


@pytest.mark.parametrize("reference", ["", "SHOP_KEY", "env:", "env:A B", "file:key", "vault:x", KEY])
def test_invalid_reference_is_rejected_without_repeating_key(accounts: Accounts, reference: str) -> None:
    with pytest.raises(SettingsError) as caught:
        accounts.add("Shop", reference=reference, **SHOWN)
    assert "env:NAME" in (caught.value.hint or "")
    assert KEY not in f"{caught.value.message}{caught.value.hint}"


def test_lost_master_key_locks_only_its_accounts(
    state: State, settings: Settings, accounts: Accounts, dataset: Dataset, datasets: Datasets, runs: Runs
) -> None:
    accounts.add("By reference", reference="env:HOME", **SHOWN)
    (settings.home / "secret.key").unlink()
    shop = accounts.get("Shop")
    assert shop.status == "locked"
    assert "counterfoil accounts key Shop" in (shop.problem or "")
    with pytest.raises(AccountError, match="'Shop'") as caught:
        accounts.key("Shop")
    assert caught.value.code == "master_key_missing"
    assert (caught.value.hint or "").endswith("counterfoil accounts key Shop")
    assert [each.status for each in accounts.list()] == ["ok", "locked"]
    accounts.key("By reference")
    assert datasets.list() == (dataset,)
    runs.create(dataset.id, "manual")
    accounts.add("New", key=OTHER, **SHOWN)
    assert accounts.key("New") == OTHER
    assert accounts.get("Shop").status == "locked"
    assert accounts.replace_key("Shop", key=KEY, **SHOWN).status == "ok"
    assert accounts.key("Shop") == KEY


@pytest.mark.parametrize("ring", [TWO, "swordfish", ""])
def test_wrong_master_key_locks_account_until_right_key_returns(state: State, settings: Settings, ring: str) -> None:
    right, wrong = (_with_ring(state, settings, each) for each in (ONE, ring))
    right.add("Shop", key=KEY, **SHOWN)
    assert wrong.get("Shop").status == "locked"
    assert "COUNTERFOIL_SECRET_KEY" in (wrong.get("Shop").problem or "")
    with pytest.raises((AccountError, SettingsError)):
        wrong.key("Shop")
    assert right.get("Shop").status == "ok"
    assert right.key("Shop") == KEY


def test_swapped_ciphertexts_are_rejected(state: State, accounts: Accounts, account: Account) -> None:
    other = accounts.add("Other", key=OTHER, **SHOWN)
    with state.begin() as connection:
        rows = {row.id: row for row in connection.execute(sa.select(table))}
        for mine, theirs in ((account.id, other.id), (other.id, account.id)):
            swapped = {name: getattr(rows[theirs], name) for name in ("ciphertext", "key_version")}
            connection.execute(table.update().where(table.c.id == mine).values(**swapped))
    for name in ("Shop", "Other"):
        with pytest.raises(AccountError) as caught:
            accounts.key(name)
        assert caught.value.code == "sealed_key_invalid"
        assert accounts.get(name).status == "locked"
        assert f"counterfoil accounts key {name}" in (accounts.get(name).problem or "")


def test_rotation_encrypts_all_keys_with_first_master_key(state: State, settings: Settings) -> None:
    old, both, new = (_with_ring(state, settings, ring) for ring in (ONE, f"{TWO},{ONE}", TWO))
    old.add("Shop", key=KEY, **SHOWN)
    old.add("By reference", reference="env:SHOP", **SHOWN)
    assert new.get("Shop").status == "locked"
    rotated = both.rotate()
    assert (rotated.keys, rotated.locked) == (1, ())
    assert new.key("Shop") == KEY
    assert old.get("Shop").status == "locked"


def test_rotation_of_own_ring_adds_new_first_key(
    state: State, accounts: Accounts, account: Account, vault: Vault
) -> None:
    versions = sa.select(table.c.key_version)
    with state.read() as connection:
        before = connection.scalar(versions)
    assert accounts.rotate().keys == 1
    with state.read() as connection:
        after = connection.scalar(versions)
    assert before != after
    assert len(vault.path.read_text().split()) == 2
    assert accounts.key("Shop") == KEY


def test_rotation_skips_and_names_lost_keys(state: State, settings: Settings) -> None:
    _with_ring(state, settings, ONE).add("Lost", key=KEY, **SHOWN)
    accounts = _with_ring(state, settings, TWO)
    accounts.add("Shop", key=OTHER, **SHOWN)
    rotated = accounts.rotate()
    assert (rotated.keys, rotated.locked) == (1, ("Lost",))
    assert _with_ring(state, settings, ONE).key("Lost") == KEY


@pytest.mark.sqlite  # the trigger uses its syntax
def test_failed_rotation_changes_nothing(
    state: State, settings: Settings, accounts: Accounts, account: Account
) -> None:
    accounts.add("Zoo", key=OTHER, **SHOWN)
    select = sa.select(table.c.name, table.c.ciphertext, table.c.key_version).order_by(table.c.name)
    with state.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER broken BEFORE UPDATE ON accounts WHEN OLD.name = 'Zoo' "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
        before = connection.execute(select).all()
    with pytest.raises(sa.exc.IntegrityError, match="disk is full"):
        accounts.rotate()
    with state.read() as connection:
        assert connection.execute(select).all() == before
    assert (accounts.key("Shop"), accounts.key("Zoo")) == (KEY, OTHER)


def test_account_with_datasets_is_removed_only_with_them(
    accounts: Accounts, datasets: Datasets, make_dataset: Callable[..., Dataset]
) -> None:
    for name in ("Charges", "Refunds"):
        make_dataset(name)
    assert accounts.used_by("Shop") == ("Charges", "Refunds")
    with pytest.raises(SettingsError, match="2 datasets: Charges, Refunds") as caught:
        accounts.remove("Shop")
    assert "--yes" in (caught.value.hint or "")
    assert accounts.remove("Shop", with_datasets=True) == ("Charges", "Refunds")
    assert (accounts.list(), datasets.list()) == ((), ())


def test_account_with_active_run_is_not_removed(accounts: Accounts, dataset: Dataset, runs: Runs) -> None:
    run = runs.create(dataset.id, "manual")
    with pytest.raises(RunError, match=run.id):
        accounts.remove("Shop", with_datasets=True)
    assert accounts.get("Shop").name == "Shop"


def test_account_without_datasets_is_removed(accounts: Accounts, account: Account) -> None:
    assert accounts.remove("Shop") == ()
    assert accounts.list() == ()
