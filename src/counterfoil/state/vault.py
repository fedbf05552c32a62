"""Stored keys: sealed with a ring of master keys, each bound to its account.

The operator provides the ring in COUNTERFOIL_SECRET_KEY or COUNTERFOIL_SECRET_KEY_FILE; otherwise it is a file in the
home directory, created at first use. It is read again each time, so that a process sees the keys that another one
added. Nothing here shows a key of either kind.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field

from filelock import FileLock

from counterfoil.errors import AccountError, SettingsError
from counterfoil.settings import Settings

_KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Master:
    """One master key. `version` identifies it and reveals nothing about it."""

    secret: bytes = field(repr=False)

    @property
    def version(self) -> str:
        return hashlib.sha256(b"counterfoil master key" + self.secret).hexdigest()[:16]


class Vault:
    """Seals and opens the keys of accounts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: The file of the ring if the operator provides none.
        self.path = settings.home.absolute() / "secret.key"

    def __repr__(self) -> str:
        return f"Vault({self.source})"

    @property
    def given(self) -> bool:
        """Whether the operator provides the ring; only the operator can change it then."""
        return self._settings.secret_key is not None or self._settings.secret_key_file is not None

    @property
    def source(self) -> str:
        """The source of the ring, for messages."""
        if self._settings.secret_key is not None:
            return "COUNTERFOIL_SECRET_KEY"
        return str(self._settings.secret_key_file or self.path)

    def seal(self, account: str, key: str) -> tuple[bytes, str]:
        """The sealed key, and the version of the first master key, which seals it. Creates the ring if it is empty."""
        ring = self._ring() or [self.add()]
        return self._seal(ring[0], account, key), ring[0].version

    def open(self, account: str, ciphertext: bytes, version: str) -> str:
        """The key; AccountError if it can't be decrypted, SettingsError if the ring is invalid."""
        from cryptography.exceptions import InvalidTag

        for master in self._ring():
            if master.version == version:
                try:
                    return self._open(master, account, ciphertext)
                except InvalidTag:
                    raise AccountError(
                        "its encrypted value was changed or belongs to another account",
                        hint=ENTER_AGAIN,
                        code="sealed_key_invalid",
                    ) from None
        raise AccountError(self._lost(version), hint=ENTER_AGAIN, code="master_key_missing")

    def locked(self, versions: set[str]) -> dict[str, str]:
        """Why keys sealed with these versions can't be opened, as sentences; omits versions that are in the ring."""
        try:
            known = {master.version for master in self._ring()} if versions else set()
        except SettingsError as error:
            return dict.fromkeys(versions, error.sentence)
        return {version: AccountError(self._lost(version)).sentence for version in versions - known}

    def add(self) -> Master:
        """Adds a master key as the first in the ring's file. Older ones stay, for the keys and backups they sealed."""
        if self.given:
            raise SettingsError(
                f"the master keys come from {self.source}",
                hint="Add a new key before the others there: openssl rand -base64 32",
            )
        master = Master(secrets.token_bytes(_KEY_BYTES))
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", mode=0o600):
                self._write([master, *self._ring()])
        except OSError as error:
            raise SettingsError(
                f"can't write the master keys to {self.path}: {error.strerror}",
                hint="Set COUNTERFOIL_HOME to a folder that this user can write to, or set COUNTERFOIL_SECRET_KEY.",
            ) from error
        return master

    def _write(self, ring: list[Master]) -> None:
        # The new file replaces the old one atomically: a crash leaves one or the other, never half a key.
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(6)}")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(b"".join(base64.b64encode(master.secret) + b"\n" for master in ring))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def _ring(self) -> list[Master]:
        text = self._settings.secret("secret_key") if self.given else self._kept()
        if text is None:
            return []
        words = [word for word in re.split(r"[\s,]+", text) if word]
        if not words:
            raise SettingsError(f"{self.source} contains no master key", hint=_FORM)
        return [Master(self._decoded(word, place)) for place, word in enumerate(words, 1)]

    def _kept(self) -> str | None:
        try:
            return self.path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise SettingsError(
                f"can't read the master keys in {self.path}: {reason}", hint="Give this user permission to read it."
            ) from error

    def _decoded(self, word: str, place: int) -> bytes:
        try:
            secret = base64.b64decode(word.translate(str.maketrans("-_", "+/")), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != _KEY_BYTES:
            # Not chained, so that no part of the key is repeated.
            raise SettingsError(f"master key {place} of {self.source} is not base64 of 32 bytes", hint=_FORM) from None
        return secret

    def _lost(self, version: str) -> str:
        return f"it was encrypted with the master key {version}, which is not in {self.source}"

    @staticmethod
    def _seal(master: Master, account: str, key: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(master.secret).encrypt(nonce, key.encode(), _bound(account, master.version))

    @staticmethod
    def _open(master: Master, account: str, ciphertext: bytes) -> str:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, sealed = ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:]
        if len(nonce) < _NONCE_BYTES:
            raise InvalidTag
        return AESGCM(master.secret).decrypt(nonce, sealed, _bound(account, master.version)).decode()


ENTER_AGAIN = "Enter the key again: counterfoil accounts key NAME"
_FORM = "Use base64 of 32 bytes for each key, separated by commas or line breaks: openssl rand -base64 32"


def _bound(account: str, version: str) -> bytes:
    """The data that a sealed key is bound to: it does not open in the row of another account."""
    return f"{account}\0{version}".encode()
