"""Moves modules and renames what `tools/renames.toml` lists, everywhere."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = tomllib.loads((ROOT / "tools" / "renames.toml").read_text())
SRC = ROOT / "src"
PROSE = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / "pyproject.toml",
    ROOT / "Makefile",
    ROOT / "Dockerfile",
    *(ROOT / "docs").rglob("*.toml"),
    ROOT / ".ci/run",
]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


def pythons() -> list[Path]:
    skip = {ROOT / "tools" / "rename.py"}
    found = [one for top in ("src", "tests", "bench", "tools", "docs") for one in (ROOT / top).rglob("*.py")]
    return [one for one in found if one not in skip]


OLD = {name_of(path): path for path in SRC.rglob("*.py")}
MAP: dict[str, str] = {}
for old, new in TABLE.get("modules", {}).items():
    full = f"counterfoil.{old}"
    target = new[1:] if new.startswith("/") else f"counterfoil.{new}"
    if not any(one == full for one in OLD):
        sys.exit(f"no module {full}")
    for module in OLD:
        if module == full:
            MAP[module] = target
        elif module.startswith(f"{full}.") and OLD[full].name == "__init__.py":
            MAP[module] = target + module.removeprefix(full)
NEW = {MAP.get(one, one) for one in OLD}
#: Packages that contain modules after the move.
PACKAGES = {new.rpartition(".")[0] for new in NEW}


def path_of(new: str) -> Path:
    base = SRC.joinpath(*new.split("."))
    return base / "__init__.py" if new in PACKAGES else base.with_suffix(".py")


DOTTED = re.compile(r"\bcounterfoil(?:\.[A-Za-z_][A-Za-z_0-9]*)+")


def dotted(match: re.Match[str]) -> str:
    parts = match[0].split(".")
    for end in range(len(parts), 1, -1):
        known = ".".join(parts[:end])
        if known in OLD:
            return ".".join([MAP.get(known, known), *parts[end:]])
    return match[0]


PATH = re.compile(r"(?<![\w/.])((?:src/)?(?:counterfoil/)?)((?:[a-z_]+/)+[a-z_0-9]+\.py)\b")


def pathed(match: re.Match[str]) -> str:
    start, rest = match[1], match[2]
    module = "counterfoil." + rest.removesuffix(".py").replace("/", ".")
    new = MAP.get(module.removesuffix(".__init__"))
    if new is None:
        return match[0]
    found = path_of(new).relative_to(SRC).as_posix()
    if found.startswith("counterfoil/") and "counterfoil/" not in start:
        found = found.removeprefix("counterfoil/")
    elif found.startswith("counterfoil/"):
        return ("src/" if start.startswith("src/") else "") + found
    return start.replace("counterfoil/", "") + found


def rewritten(path: Path) -> str:
    text = path.read_text()
    tree = ast.parse(text)
    lines = text.split("\n")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    renames: dict[str, str] = {}
    edits: list[tuple[int, int, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level or not (node.module or "").startswith("counterfoil"):
            continue
        assert node.module is not None
        by_parent: dict[str, list[str]] = {}
        changed = False
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            if full in OLD:
                target = MAP.get(full, full)
                parent, _, leaf = target.rpartition(".")
                said = leaf
                if alias.asname:
                    said = f"{leaf} as {alias.asname}" if alias.asname != leaf else leaf
                elif leaf != alias.name:
                    if leaf in names or leaf in dir(__builtins__):
                        said = f"{leaf} as {alias.name}"
                    else:
                        renames[alias.name] = leaf
                changed |= target != full
            else:
                parent = MAP.get(node.module, node.module)
                said = alias.name + (f" as {alias.asname}" if alias.asname else "")
                changed |= parent != node.module
            by_parent.setdefault(parent, []).append(said)
        if changed:
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            comments = [m[0].strip() for line in lines[first : last + 1] if (m := re.search(r"  #.*$", line))]
            note = f"  {comments[0]}" if comments else ""
            indent = " " * node.col_offset
            told = [
                f"{indent}from {parent} import ({', '.join(said)}){note}"
                if len(said) > 1
                else f"{indent}from {parent} import {said[0]}{note}"
                for parent, said in by_parent.items()
            ]
            edits.append((first, last, "\n".join(told)))
    uses: list[tuple[int, int, str, str]] = []
    if renames:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in renames:
                uses.append((node.lineno - 1, node.col_offset, node.id, renames[node.id]))
    for row, column, old, new in sorted(uses, reverse=True):
        line = lines[row].encode()
        assert line[column : column + len(old)] == old.encode(), (path, row, line)
        lines[row] = (line[:column] + new.encode() + line[column + len(old) :]).decode()
    for first, last, said in sorted(edits, reverse=True):
        lines[first : last + 1] = ["\0" + said.replace("counterfoil", "\1")]
    text = "\n".join(lines)
    text = PATH.sub(pathed, DOTTED.sub(dotted, text))
    return text.replace("\0", "").replace("\1", "counterfoil")


def main() -> None:
    texts = {path: rewritten(path) for path in pythons()}
    for path in PROSE:
        if path.exists():
            text = path.read_text()
            texts[path] = PATH.sub(pathed, DOTTED.sub(dotted, text))
    for path, text in texts.items():
        if path.read_text() != text:
            path.write_text(text)
    # In two steps: a new path may be an old one of another module.
    moves = [(OLD[old], path_of(new)) for old, new in MAP.items() if OLD[old] != path_of(new)]
    for old, _ in moves:
        subprocess.run(["git", "mv", old, old.with_name(old.name + ".moved")], check=True, cwd=ROOT)
    for old, new in moves:
        new.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "mv", old.with_name(old.name + ".moved"), new], check=True, cwd=ROOT)
    for package in PACKAGES:
        init = SRC.joinpath(*package.split("."), "__init__.py")
        if package and not init.exists() and package.startswith(("counterfoil", "stripe_sandbox")):
            init.parent.mkdir(parents=True, exist_ok=True)
            init.write_text("")
            print("new package", package)


if __name__ == "__main__":
    main()
