"""The declarations of each kind of destination, and their documentation."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from counterfoil.destinations.kind import DestinationKind
from counterfoil.destinations.kinds import KINDS, kind_of, target_key

_DOCS = Path(__file__).parents[2] / "docs/destinations.md"
_KINDS = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: next(iter(kind.schemes)))


@_KINDS
def test_every_scheme_has_an_example_of_its_kind(kind: DestinationKind) -> None:
    for scheme, example in kind.schemes.items():
        assert kind_of(f"{scheme}:x") is kind_of(f"{scheme.upper()}:x") is kind
        assert kind_of(example) is kind


@_KINDS
def test_kind_names_an_existing_package(kind: DestinationKind) -> None:
    assert find_spec(f"counterfoil.destinations.{kind.package}.destination")
    assert bool(kind.library) == bool(kind.extra)


@_KINDS
def test_declarations_are_consistent(kind: DestinationKind) -> None:
    assert "replace" in kind.methods
    assert "merge" not in kind.guarantees or "merge" in kind.methods
    assert not {"history", "latest"} & kind.guarantees or "query" in kind.guarantees


@_KINDS
def test_target_key_ignores_case_and_depends_on_location(kind: DestinationKind, tmp_path: Path) -> None:
    first = target_key(kind.example, "charges", home=tmp_path)
    assert target_key(kind.example, "Charges", home=tmp_path) == first
    assert target_key(kind.example, "refunds", home=tmp_path) != first
    elsewhere = re.sub("(://[^/]*@|://)", r"\1other", kind.example, count=1)
    assert target_key(elsewhere, "charges", home=tmp_path) != first


def test_docs_list_declared_methods_and_guarantees() -> None:
    documented: dict[str, tuple[set[str], set[str]]] = {}
    for line in _DOCS.read_text(encoding="utf-8").partition("\n\n- ")[0].splitlines():
        if line.startswith("| `"):
            urls, _, methods, guarantees = (cell.strip() for cell in line.strip("|").split(" | "))
            for scheme in re.findall(r"`([a-z0-9+]+):", urls):
                documented[scheme] = (set(methods.split(", ")), set(guarantees.split(", ")))
    declared = {
        scheme: (set(kind.methods), set(kind.guarantees))
        for scheme in documented
        for kind in (kind_of(f"{scheme}:"),)
        if not scheme.startswith("dlt+")
    }
    assert declared == {scheme: cells for scheme, cells in documented.items() if scheme in declared}
    assert len(declared) > 6
