"""What a run read, kept on disk: the spool of pages, the parts cut from it, and the ledger of what they cover."""

from counterfoil.archive.archive import Archive
from counterfoil.archive.claim import claim, sweep
from counterfoil.archive.ledger import Coverage, Ledger, read_ledger
from counterfoil.archive.parts import read_parts, verify
from counterfoil.archive.spool import Spool, read_spool

__all__ = [
    "Archive",
    "Coverage",
    "Ledger",
    "Spool",
    "claim",
    "read_ledger",
    "read_parts",
    "read_spool",
    "sweep",
    "verify",
]
