"""The vault: a sealed key opens only for its account and with its master key."""

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


def _all_text(error: CounterfoilError) -> str:
    return f"{error.message}{error.hint}{error.__cause__!r}{error.__context__!r}"


def test_sealed_key_opens(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    assert vault.open("acc_1", *vault.seal("acc_1", KEY)) == KEY


def test_each_seal_of_a_key_differs(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    assert len({vault.seal("acc_1", KEY)[0] for _ in range(50)}) == 50


def test_ciphertext_and_version_contain_no_key(tmp_path: Path) -> None:
    ciphertext, version = _vault(tmp_path, ONE).seal("acc_1", KEY)
    assert KEY.encode() not in ciphertext
    assert bytes([1]) * 32 not in ciphertext
    assert version not in (ONE, TWO)
    assert len(version) == 16


def test_a_sealed_key_does_not_open_for_another_account(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    with pytest.raises(AccountError) as caught:
        vault.open("acc_2", *vault.seal("acc_1", KEY))
    assert caught.value.code == "sealed_key_invalid"


def test_changed_or_truncated_ciphertext_does_not_open(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    ciphertext, version = vault.seal("acc_1", KEY)
    for index in range(len(ciphertext)):
        changed = bytearray(ciphertext)
        changed[index] ^= 1
        with pytest.raises(AccountError):
            vault.open("acc_1", bytes(changed), version)
    for length in (0, 5, 12, len(ciphertext) - 1):
        with pytest.raises(AccountError):
            vault.open("acc_1", ciphertext[:length], version)


def test_ciphertext_is_bound_to_key_version(tmp_path: Path) -> None:
    old, new = _vault(tmp_path, ONE), _vault(tmp_path, f"{TWO},{ONE}")
    ciphertext, _version = old.seal("acc_1", KEY)
    with pytest.raises(AccountError) as caught:
        new.open("acc_1", ciphertext, new.seal("acc_1", KEY)[1])
    assert caught.value.code == "sealed_key_invalid"


def test_master_key_is_created_at_first_seal_for_its_user_only(tmp_path: Path) -> None:
    vault = _vault(tmp_path / "home")
    assert vault.locked(set()) == {}
    assert not vault.path.exists()
    vault.seal("acc_1", KEY)
    assert stat.S_IMODE(vault.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(vault.path.parent.stat().st_mode) == 0o700
    assert len(base64.b64decode(vault.path.read_text())) == 32


def test_concurrent_first_seals_lose_no_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda number: _vault(tmp_path).seal(f"acc_{number}", KEY), range(8)))
    vault = _vault(tmp_path)
    assert [vault.open(f"acc_{number}", *each) for number, each in enumerate(sealed)] == [KEY] * 8


def test_first_master_key_encrypts_and_all_decrypt(tmp_path: Path) -> None:
    old = _vault(tmp_path, ONE)
    sealed = old.seal("acc_1", KEY)
    both = _vault(tmp_path, f"{TWO},\n {ONE}\n")
    assert both.open("acc_1", *sealed) == KEY
    assert both.seal("acc_1", KEY)[1] == _vault(tmp_path, TWO).seal("acc_1", KEY)[1] != sealed[1]
    assert not (tmp_path / "secret.key").exists()


def test_url_safe_base64_is_accepted(tmp_path: Path) -> None:
    sealed = _vault(tmp_path, TWO).seal("acc_1", KEY)
    assert _vault(tmp_path, base64.urlsafe_b64encode(bytes([250]) * 32).decode()).open("acc_1", *sealed) == KEY


def test_error_names_missing_master_key_and_command(tmp_path: Path) -> None:
    sealed = _vault(tmp_path, ONE).seal("acc_1", KEY)
    for vault in (_vault(tmp_path, TWO), _vault(tmp_path)):
        ((version, problem),) = vault.locked({sealed[1]}).items()
        assert version == sealed[1]
        assert sealed[1] in problem
        assert vault.source in problem
        with pytest.raises(AccountError, match=sealed[1]) as caught:
            vault.open("acc_1", *sealed)
        assert caught.value.code == "master_key_missing"
        assert "counterfoil accounts key" in (caught.value.hint or "")


@pytest.mark.parametrize("wrong", ["swordfish", f"{ONE},c3dvcmRmaXNo", "", " , ", ONE[:-4], "ß" * 44])
def test_invalid_master_key_is_rejected_without_repeating_it(tmp_path: Path, wrong: str) -> None:
    vault = _vault(tmp_path, wrong)
    with pytest.raises(SettingsError, match="COUNTERFOIL_SECRET_KEY") as caught:
        vault.seal("acc_1", KEY)
    assert "openssl rand -base64 32" in (caught.value.hint or "")
    for secret in ("swordfish", "c3dvcmRmaXNo", ONE[:-4], KEY):
        assert secret not in _all_text(caught.value)
    assert list(vault.locked({"some"})) == ["some"]


def test_ring_file_is_read_on_each_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ring"
    file.write_text(f"{ONE}\n")
    monkeypatch.setenv("COUNTERFOIL_SECRET_KEY_FILE", str(file))
    vault = Vault(load_settings())
    sealed = vault.seal("acc_1", KEY)
    file.write_text(f"{TWO}\n{ONE}\n")
    assert vault.open("acc_1", *sealed) == KEY
    assert vault.seal("acc_1", KEY)[1] != sealed[1]
    file.unlink()
    with pytest.raises(SettingsError, match=f"COUNTERFOIL_SECRET_KEY_FILE {file}"):
        vault.open("acc_1", *sealed)


def test_added_master_key_is_first_and_old_ones_stay(tmp_path: Path) -> None:
    vault, other = _vault(tmp_path), _vault(tmp_path)
    sealed = vault.seal("acc_1", KEY)
    vault.add()
    assert other.open("acc_1", *sealed) == KEY
    assert other.seal("acc_1", KEY)[1] != sealed[1]
    assert len(vault.path.read_text().split()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.key", "secret.key.lock"]


def test_no_key_is_added_to_ring_of_operator(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="COUNTERFOIL_SECRET_KEY") as caught:
        _vault(tmp_path, ONE).add()
    assert "openssl rand -base64 32" in (caught.value.hint or "")
    assert not (tmp_path / "secret.key").exists()


def test_repr_contains_no_key(tmp_path: Path) -> None:
    vault = _vault(tmp_path, ONE)
    shown = f"{vault!r} {vault._ring()!r} {vault.__dict__!r}"
    assert ONE not in shown
    assert repr(bytes([1]) * 32)[2:-1] not in shown
