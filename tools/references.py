"""Generates parts of the documents: cog calls these functions from comments (`make docs`; `make lint` checks)."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import error_catalogue
from counterfoil.app.connection import describe_reports
from counterfoil.cli import app, run
from counterfoil.errors import CounterfoilError
from counterfoil.settings import Settings
from counterfoil.web.api.problems import CODES


def commands() -> str:
    """The help output of every command."""
    return "\n".join(_command(name) for name in ("", *command_names()))


def command_names() -> list[str]:
    """The names of all commands; commands of a group include its name."""
    names = []
    for name in (name for name in app if not name.startswith("-")):
        below = [f"{name} {each}" for each in app[name] if not each.startswith("-")]
        names += below or [name]
    return sorted(names)


def _command(name: str) -> str:
    os.environ["COLUMNS"] = "110"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run([*name.split(), "--help"])
    text = "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())
    return f"## `{f'counterfoil {name}'.strip()}`\n\n```text\n{text}\n```\n"


def settings() -> str:
    """A table of settings."""
    rows = ["| variable | default | description |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "the platform's data folder" if name == "home" else _default(field.get_default())
        rows.append(f"| `COUNTERFOIL_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def _default(value: object) -> str:
    return f"`{value}`" if isinstance(value, int | float | str) else ""


def reports() -> str:
    """A table of reports."""
    rows = ["| report | title | columns | description |", "|---|---|--:|---|"]
    rows += [f"| `{r['key']}` | {r['title']} | {len(r['columns'])} | {r['description']} |" for r in describe_reports()]
    return "\n".join(rows)


def report_details() -> str:
    """A section for each report: key, methods, permissions, options, notes, columns."""
    return "\n".join("\n".join(_report(report)) for report in describe_reports())


def _report(report: dict[str, object]) -> Iterator[str]:
    yield f"## {report['title']}\n"
    yield f"Key: `{report['key']}`. {report['description']}\n"
    yield f"- Primary key: {_code(report['primary_key'])}. Creation time: {_code(filter(None, [report['created']]))}."
    yield f"- Update methods of `pull`: {_code(report['pull_methods'])}. Default: `replace`."
    more, default = _code(report["dataset_methods"]), report["dataset_default_method"]
    yield f"- Update methods of a dataset: {more}. Default: `{default}`."
    yield f"- Permissions of a restricted key: {_code(report['permissions'])}."
    for option in report["options"]:  # type: ignore[attr-defined]
        choices = f" ({_code(option['choices'])})" if option["choices"] else ""
        yield f"- Option `{option['name']}`{choices}: {option['description']}"
    for note in report["notes"]:  # type: ignore[attr-defined]
        yield f"- {note}"
    yield "\n<details><summary>Columns</summary>\n\n| column | type | description |\n|---|---|---|"
    for column in report["columns"]:  # type: ignore[attr-defined]
        yield f"| `{column['name']}` | {column['type']} | {column['description']} |"
    yield "\n</details>\n"


def _code(words: object) -> str:
    return ", ".join(f"`{word}`" for word in words) or "none"  # type: ignore[attr-defined]


def known_drift() -> str:
    """A table of the fields without a column."""
    drift = json.loads(Path(__file__).with_name("known_drift.json").read_bytes())
    newer = f"newer than {drift['pinned']}, up to {drift['newest']}"
    rows = [f"| report | {newer} | omitted by Stripe's specification |", "|---|---|---|"]
    for key, fields in drift["reports"].items():
        rows.append(f"| `{key}` | {_code(fields['newer'])} | {_code(fields['omitted'])} |")
    return "\n".join(rows)


def errors() -> str:
    """The tree of error classes, with exit codes."""
    return "\n".join(["| error | exit code | meaning |", "|---|--:|---|", *_errors(CounterfoilError, 0)])


def _errors(kind: type[CounterfoilError], depth: int) -> Iterator[str]:
    meaning = (kind.__doc__ or "").strip().splitlines()[0]
    yield f"| {'&nbsp;&nbsp;' * depth}`{kind.__name__}` | {kind.exit_code} | {meaning} |"
    for below in kind.__subclasses__():
        yield from _errors(below, depth + 1)


def problems() -> str:
    """A table of the API's problem codes by status."""
    statuses = sorted({status for status, _ in CODES.values()})
    by_status = {status: [code for code, (known, _) in CODES.items() if known == status] for status in statuses}
    rows = [f"| {status} | {_code(codes)} |" for status, codes in by_status.items()]
    return "\n".join(["| status | codes |", "|---|---|", *rows])


def error_messages() -> str:
    """A section per class of error, a row per message."""
    return "\n".join(_messages())


def _messages() -> Iterator[str]:
    for kind, found in groupby(error_catalogue.messages(), key=lambda one: (one.kind, one.exit_code)):
        name, exit_code = kind
        title = "Errors of the API" if exit_code is None else f"`{name}`, exit code {exit_code}"
        yield f"\n### {title}\n\n| message | next step | code |\n|---|---|---|"
        yield from (
            f"| {_cell(one.text)} | {_cell(one.hint)} | {_cell(one.code and f'`{one.code}`')} |" for one in found
        )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
