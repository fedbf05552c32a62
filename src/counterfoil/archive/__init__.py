"""The archive of a run on disk: the spool of pages, the parts made from it, and the ledger of their coverage."""

from counterfoil.archive.archive import Archive
from counterfoil.archive.claim import claim, sweep
from counterfoil.archive.disk import check_place
from counterfoil.archive.key_check import check_part_keys, checked_keys
from counterfoil.archive.ledger import Coverage, Ledger, read_ledger
from counterfoil.archive.parts import PartWriter, read_parts, stored_rows, verify
from counterfoil.archive.spool import PageNote, Spool, read_notes, read_spool

__all__ = [
    "Archive",
    "Coverage",
    "Ledger",
    "PageNote",
    "PartWriter",
    "Spool",
    "check_part_keys",
    "check_place",
    "checked_keys",
    "claim",
    "read_ledger",
    "read_notes",
    "read_parts",
    "read_spool",
    "stored_rows",
    "sweep",
    "verify",
]
