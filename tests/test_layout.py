"""Rules for the layout of folders and modules, so that files can be found by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
PACKAGES = ("counterfoil", "stripe_sandbox")
MODULES = sorted(path for package in PACKAGES for path in (SRC / package).rglob("*.py"))
MOST_MODULES = 20
MOST_LINES = 400
#: The maximum number of modules in a folder with the same prefix; more become a package.
MOST_SIBLINGS = 2
#: Vague names, and verbs that do not describe the content of a module.
BANNED = {
    "again", "asking", "base", "bringing", "common", "core", "door", "earlier", "endings", "evenly",
    "forgetting", "given", "handler", "helpers", "keeping", "lacking", "leaving", "looker", "making",
    "manager", "many", "misc", "named", "notices", "opening", "place", "places", "proving", "records",
    "resting", "sending", "sent", "signals", "standing", "survey", "telling", "told", "utils", "watch",
    "words",
}  # fmt: skip


def _folders() -> dict[Path, list[Path]]:
    found = defaultdict(list)
    for path in MODULES:
        if path.name != "__init__.py" and path.parent.name != "versions":  # migrations are numbered
            found[path.parent].append(path)
    return found


@pytest.mark.parametrize("folder", sorted(_folders()), ids=lambda one: str(one.relative_to(SRC)))
def test_folder_is_small_and_its_modules_have_no_common_prefix(folder: Path) -> None:
    modules = _folders()[folder]
    assert len(modules) <= MOST_MODULES
    siblings = defaultdict(list)
    for path in modules:
        siblings[path.stem.split("_")[0]].append(path.name)
    assert [names for names in siblings.values() if len(names) > MOST_SIBLINGS] == []


def test_module_has_at_most_400_lines() -> None:
    assert [str(path) for path in MODULES if len(path.read_text().splitlines()) > MOST_LINES] == []


def test_module_names_are_nouns_of_the_field() -> None:
    assert [str(path) for path in MODULES if path.stem in BANNED] == []


def test_no_import_is_circular() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    # Omits packages, which re-export names of their modules.
    names = {module for module in graph.modules if not graph.find_children(module)}
    imports = {name: graph.find_modules_directly_imported_by(name) & names for name in names}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_named_in_documents_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`([a-z_/]+/[a-z_0-9]+\.py)`", text))
    assert len(named) > 3
    folders = (ROOT, SRC, SRC / "counterfoil")
    assert {name for name in named if not any((folder / name).exists() for folder in folders)} == set()
