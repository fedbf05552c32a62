"""A memory-efficient set of identifiers, stored as 16-byte hashes."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b


class Identifiers:
    """A set that supports membership tests and updates. Takes about 90 bytes per identifier."""

    def __init__(self, identifiers: Iterable[str] = ()) -> None:
        self._hashes = {_hash(one) for one in identifiers}

    def __contains__(self, identifier: object) -> bool:
        return isinstance(identifier, str) and _hash(identifier) in self._hashes

    def __len__(self) -> int:
        return len(self._hashes)

    def update(self, identifiers: Iterable[str] | Identifiers) -> None:
        """Adds the identifiers."""
        if isinstance(identifiers, Identifiers):
            self._hashes |= identifiers._hashes
        else:
            self._hashes.update(map(_hash, identifiers))


def _hash(identifier: str) -> bytes:
    return blake2b(identifier.encode(errors="surrogatepass"), digest_size=16).digest()
