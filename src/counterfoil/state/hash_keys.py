"""The keys of hashed columns: one for each account, so that equal values stay equal, sealed in the vault."""

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
    """A lost master key takes them along: what is hashed later then no longer joins with what was hashed before."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def key(self, account: str) -> bytes:
        """The key of an account (by id), made at its first use. AccountError when it can't be decrypted any more."""
        name = _PREFIX + account
        with self._state.begin():
            kept = self._state.setting(name)
            if kept is None:
                kept = self._sealed(name, secrets.token_hex(_KEY_BYTES))
                self._state.keep_setting(name, kept)
        return bytes.fromhex(self._opened(name, kept))

    def rotate(self) -> None:
        """Seals all of them anew, under the first master key.

        AccountError when one can't be decrypted any more; the others are sealed anew all the same.
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
