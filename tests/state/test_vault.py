"""A key opens for its account under its master key, and for nothing else."""

from __future__ import annotations

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from counterfoil.errors import AccountError, CounterfoilError, SettingsError
from counterfoil.settings import Settings, load_settings
from counterfoil.state.vault import Vault

KEY = "rk_live_" + "51Counterfoil" + "4242"
ONE, TWO = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (1, 250))


def _vault(home: Path, ring: str | None = None) -> Vault:
    return Vault(Settings(home=home, secret_key=ring))  # type: ignore[arg-type]


def _said(error: CounterfoilError) -> str:
    return f"{error.message}{error.hint}{error.__cause__!r}{error.__context__!r}"


def test_what_was_sealed_opens(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    assert vault.open("acc_1", *vault.seal("acc_1", KEY)) == KEY


def test_the_same_key_is_never_sealed_to_the_same_bytes(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    assert len({vault.seal("acc_1", KEY)[0] for _ in range(50)}) == 50


def test_neither_key_is_in_what_is_sealed_or_in_the_version(tmp_path: Path) -> None:
    ciphertext, version = _vault(tmp_path, ONE).seal("acc_1", KEY)
    assert KEY.encode() not in ciphertext
    assert bytes([1]) * 32 not in ciphertext
    assert version not in (ONE, TWO)
    assert len(version) == 16


def test_a_sealed_key_does_not_open_for_another_account(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    with pytest.raises(AccountError, match="belongs to another account"):
        vault.open("acc_2", *vault.seal("acc_1", KEY))


def test_a_changed_byte_or_a_cut_end_does_not_open(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    ciphertext, version = vault.seal("acc_1", KEY)
    for place in range(len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[place] ^= 1
        with pytest.raises(AccountError):
            vault.open("acc_1", bytes(changed), version)
    for length in (0, 5, 12, len(ciphertext) - 1):
        with pytest.raises(AccountError):
            vault.open("acc_1", ciphertext[:length], version)


def test_the_key_version_is_bound_too(tmp_path: Path) -> None:
    old, new = _vault(tmp_path, ONE), _vault(tmp_path, f"{TWO},{ONE}")
    ciphertext, _version = old.seal("acc_1", KEY)
    with pytest.raises(AccountError, match="was changed"):
        new.open("acc_1", ciphertext, new.seal("acc_1", KEY)[1])


def test_nothing_is_made_until_a_key_is_sealed_and_then_for_its_user_alone(tmp_path: Path) -> None:
    vault = _vault(tmp_path / "home")
    assert vault.locked(set()) == {}
    assert not vault.path.exists()
    vault.seal("acc_1", KEY)
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(vault.path.parent.stat().st_mode) == 0o700
    assert len(base64.b64decode(vault.path.read_text())) == 32


def test_many_that_seal_first_at_once_lose_no_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda number: _vault(tmp_path).seal(f"acc_{number}", KEY), range(8)))
    vault = _vault(tmp_path)
    assert [vault.open(f"acc_{number}", *each) for number, each in enumerate(sealed)] == [KEY] * 8


def test_the_first_of_the_ring_encrypts_and_all_of_it_decrypts(tmp_path: Path) -> None:
    old = _vault(tmp_path, ONE)
    sealed = old.seal("acc_1", KEY)
    both = _vault(tmp_path, f"{TWO},\n {ONE}\n")
    assert both.open("acc_1", *sealed) == KEY
    assert both.seal("acc_1", KEY)[1] == _vault(tmp_path, TWO).seal("acc_1", KEY)[1] != sealed[1]
    assert not (tmp_path / "secret.key").exists()


def test_the_other_alphabet_of_base64_is_the_same_key(tmp_path: Path) -> None:
    sealed = _vault(tmp_path, TWO).seal("acc_1", KEY)
    assert _vault(tmp_path, base64.urlsafe_b64encode(bytes([250]) * 32).decode()).open("acc_1", *sealed) == KEY


def test_a_lost_or_wrong_master_key_says_which_one_and_that_the_key_must_be_entered_again(tmp_path: Path) -> None:
    sealed = _vault(tmp_path, ONE).seal("acc_1", KEY)
    for vault in (_vault(tmp_path, TWO), _vault(tmp_path)):
        assert vault.locked({sealed[1]}) == {
            sealed[1]: f"It was encrypted with the master key {sealed[1]}, which is not in {vault.source}."
        }
        with pytest.raises(AccountError, match=sealed[1]) as caught:
            vault.open("acc_1", *sealed)
        assert "Enter the key again" in (caught.value.hint or "")


@pytest.mark.parametrize("wrong", ["swordfish", f"{ONE},c3dvcmRmaXNo", "", " , ", ONE[:-4], "ß" * 44])
def test_what_is_no_master_key_is_refused_and_not_repeated(tmp_path: Path, wrong: str) -> None:
    vault = _vault(tmp_path, wrong)
    with pytest.raises(SettingsError, match="COUNTERFOIL_SECRET_KEY") as caught:
        vault.seal("acc_1", KEY)
    assert "openssl rand -base64 32" in (caught.value.hint or "")
    for word in ("swordfish", "c3dvcmRmaXNo", ONE[:-4], KEY):
        assert word not in _said(caught.value)
    assert list(vault.locked({"some"})) == ["some"]


def test_the_ring_can_come_from_a_file_and_is_read_anew_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ring"
    file.write_text(f"{ONE}\n")
    monkeypatch.setenv("COUNTERFOIL_SECRET_KEY_FILE", str(file))
    vault = Vault(load_settings())
    sealed = vault.seal("acc_1", KEY)
    file.write_text(f"{TWO}\n{ONE}\n")
    assert vault.open("acc_1", *sealed) == KEY
    assert vault.seal("acc_1", KEY)[1] != sealed[1]
    file.unlink()
    with pytest.raises(SettingsError, match="COUNTERFOIL_SECRET_KEY_FILE can't be read"):
        vault.open("acc_1", *sealed)


def test_a_key_added_to_the_file_comes_first_and_the_old_ones_stay(tmp_path: Path) -> None:
    vault, other = _vault(tmp_path), _vault(tmp_path)
    sealed = vault.seal("acc_1", KEY)
    vault.add()
    assert other.open("acc_1", *sealed) == KEY
    assert other.seal("acc_1", KEY)[1] != sealed[1]
    assert len(vault.path.read_text().split()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.key", "secret.key.lock"]


def test_no_key_is_added_to_a_ring_that_the_operator_gives(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="given by COUNTERFOIL_SECRET_KEY"):
        _vault(tmp_path, ONE).add()


def test_no_repr_shows_a_key(tmp_path: Path) -> None:
    vault = _vault(tmp_path, ONE)
    shown = f"{vault!r} {vault._ring()!r} {vault.__dict__!r}"
    assert ONE not in shown
    assert repr(bytes([1]) * 32)[2:-1] not in shown
