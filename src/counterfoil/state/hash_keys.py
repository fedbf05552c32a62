"""The keys of hashed columns, sealed in the vault: one per account, so that equal values have equal hashes."""

from __future__ import annotations

import base64
import secrets

import sqlalchemy as sa

from counterfoil.errors import AccountError
from counterfoil.state.database import State
from counterfoil.state.tables import settings
from counterfoil.state.vault import Vault

_PREFIX = "hash-key:"
_KEY_BYTES = 32


class HashKeys:
    """The keys by account. If a key is lost with its master key, new hashes no longer match earlier ones."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def key(self, account: str) -> bytes:
        """The key of an account (by id), created at its first use. AccountError if it can't be decrypted."""
        name = _PREFIX + account
        with self._state.begin():
            sealed = self._state.setting(name)
            if sealed is None:
                sealed = self._sealed(name, secrets.token_hex(_KEY_BYTES))
                self._state.keep_setting(name, sealed)
        return bytes.fromhex(self._opened(name, sealed))

    def rotate(self) -> None:
        """Seals all keys again with the first master key.

        AccountError if one can't be decrypted; the others are sealed again nevertheless.
        """
        lost: AccountError | None = None
        with self._state.begin() as connection:
            chosen = sa.select(settings.c.name, settings.c.value).where(settings.c.name.startswith(_PREFIX))
            for name, kept in connection.execute(chosen).all():
                try:
                    self._state.keep_setting(name, self._sealed(name, self._opened(name, kept)))
                except AccountError as error:
                    lost = error
        if lost is not None:
            raise lost

    def _sealed(self, name: str, key: str) -> dict[str, str]:
        ciphertext, version = self._vault.seal(name, key)
        return {"sealed": base64.b64encode(ciphertext).decode(), "version": version}

    def _opened(self, name: str, kept: dict[str, str]) -> str:
        return self._vault.open(name, base64.b64decode(kept["sealed"]), kept["version"])
