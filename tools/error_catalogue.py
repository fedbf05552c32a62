"""Every error message of the program, read from its source: class, exit code, message, code and hint.

Values in a message are shown as ‹name›. A call that passes on the message of another error is left out.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import counterfoil
from counterfoil.errors import CounterfoilError
from counterfoil.web.api.problems import Refused

PACKAGE = Path(counterfoil.__file__).parent
#: Limits: variants of one text, and assignments that are followed.
_MOST, _DEPTH = 6, 2
#: The message of another error, and nothing else.
_PASSED_ON = re.compile("[\\W_]*(?:‹[^›]*›[\\W_]*)+")


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """One row of the catalogue. `kind` is the class's name, `exit_code` None for errors of the API alone."""

    kind: str
    text: str
    hint: str = ""
    code: str = ""
    exit_code: int | None = None


def messages() -> list[Message]:
    """All messages, by class and text, each once."""
    found: set[Message] = set()
    for file in sorted(PACKAGE.rglob("*.py")):
        if "migrations" not in file.parts and file.name != "__main__.py":
            found.update(_of_module(ast.parse(file.read_text(encoding="utf-8")), _imported(file)))
    return sorted(found)


def _imported(file: Path) -> ModuleType:
    name = ".".join(("counterfoil", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    try:
        return importlib.import_module(name)
    except ImportError:  # the engine of an integration is not installed
        return ModuleType(name)


def _of_module(tree: ast.Module, module: ModuleType) -> Iterator[Message]:
    for scope in _scopes(tree):
        values = {**vars(module), **_assigned(scope)}
        for node in _within(scope):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            kind = values.get(node.func.id)
            if isinstance(kind, type) and issubclass(kind, CounterfoilError | Refused):
                yield from _of_call(node, kind, values)


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of the functions in it."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _within(node)


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """The expressions that a scope assigns to each local name."""
    found: dict[str, list[ast.expr]] = {}
    for node in _within(scope):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found if not isinstance(scope, ast.Module) else {}


def _of_call(call: ast.Call, kind: type, values: Mapping[str, object]) -> Iterator[Message]:
    given = {word.arg: word.value for word in call.keywords}
    if kind is Refused:
        names = ("code", "message", "hint")
        given |= dict(zip(names, call.args, strict=False))
    elif call.args:
        given["message"] = call.args[0]
    if "message" not in given:
        return
    hints = _texts(given["hint"], values) if "hint" in given else [""]
    codes = _texts(given["code"], values) if "code" in given else [""]
    exit_code = kind.exit_code if issubclass(kind, CounterfoilError) else None
    code = codes[0] if len(codes) == 1 else ""
    hint = " Or: ".join(dict.fromkeys(_line(hint) for hint in hints if _line(hint)))
    for text in _texts(given["message"], values):
        if not _PASSED_ON.fullmatch(text):
            yield Message(kind.__name__, _line(text), hint, code, exit_code)


def _line(text: str) -> str:
    return " ".join(text.split())


def _texts(node: ast.expr, values: Mapping[str, object], depth: int = 0) -> list[str]:
    """The possible values of an expression; parts that are unknown until runtime are named."""
    match node:
        case ast.Constant(value=value):
            return [value if isinstance(value, str) else ""]
        case ast.IfExp(body=body, orelse=other):
            return [*_texts(body, values, depth), *_texts(other, values, depth)]
        case ast.BoolOp(op=ast.Or(), values=parts):
            return [text for part in parts for text in _texts(part, values, depth)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([left, right], values, depth)
        case ast.JoinedStr(values=parts):
            inner = [part.value if isinstance(part, ast.FormattedValue) else part for part in parts]
            return _joined(inner, values, depth)
        case ast.Name(id=name):
            return _variable(name, values, depth)
    return [f"‹{_name(node)}›"]


def _joined(parts: Sequence[ast.expr], values: Mapping[str, object], depth: int) -> list[str]:
    found = [""]
    for part in parts:
        found = [head + tail for head in found for tail in _texts(part, values, depth)][:_MOST]
    return found


def _variable(name: str, values: Mapping[str, object], depth: int) -> list[str]:
    """The text of a constant, or the texts that a function assigns to the name."""
    value = values.get(name)
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and depth < _DEPTH and len(value) <= _MOST:
        return [text for each in value for text in _texts(each, values, depth + 1)]
    return [f"‹{_name(ast.Name(name))}›"]


def _name(node: ast.expr) -> str:
    """A name for a value."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_").lower().replace("_", " ")
        case ast.Call(args=[first, *_]) if not isinstance(first, ast.GeneratorExp):
            return _name(first)
        case ast.Call(func=function):
            return _name(function)
        case ast.Subscript(value=value) | ast.Await(value=value) | ast.Starred(value=value):
            return _name(value)
        case ast.GeneratorExp(elt=inner) | ast.ListComp(elt=inner):
            return _name(inner)
        case ast.BinOp(left=left):
            return _name(left)
    return "value"
