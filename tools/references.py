"""The generated parts of the documents: cog calls these from comments in them (`make docs`; `make lint` checks)."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

from counterfoil.app.connection import describe_reports
from counterfoil.cli import app, run
from counterfoil.errors import CounterfoilError
from counterfoil.settings import Settings
from counterfoil.web.api.problems import CODES


def commands() -> str:
    """The help of every command, as it is printed."""
    return "\n".join(_command(name) for name in ("", *command_names()))


def command_names() -> list[str]:
    """Every command, those of groups behind their group."""
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
    """A row per variable."""
    rows = ["| variable | default | what it sets |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "the platform's data folder" if name == "home" else _default(field.get_default())
        rows.append(f"| `COUNTERFOIL_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def _default(value: object) -> str:
    return f"`{value}`" if isinstance(value, int | float | str) else ""


def reports() -> str:
    """A row per report."""
    rows = ["| report | title | columns | what it is |", "|---|---|--:|---|"]
    rows += [f"| `{r['key']}` | {r['title']} | {len(r['columns'])} | {r['description']} |" for r in describe_reports()]
    return "\n".join(rows)


def report_details() -> str:
    """A section per report: key, methods, permissions, options, notes, columns."""
    return "\n".join("\n".join(_report(report)) for report in describe_reports())


def _report(report: dict[str, object]) -> Iterator[str]:
    yield f"## {report['title']}\n"
    yield f"`{report['key']}`. {report['description']}\n"
    yield f"- primary key: {_code(report['primary_key'])}; created: {_code(filter(None, [report['created']]))}"
    yield f"- `pull` can {_code(report['pull_methods'])}, by default `replace`"
    more, default = _code(report["dataset_methods"]), report["dataset_default_method"]
    yield f"- update methods of a dataset: {more}; by default `{default}`"
    yield f"- permissions of a restricted key: {_code(report['permissions'])}"
    for option in report["options"]:  # type: ignore[attr-defined]
        choices = f": {_code(option['choices'])}" if option["choices"] else ""
        yield f"- option `{option['name']}`{choices}. {option['description']}"
    for note in report["notes"]:  # type: ignore[attr-defined]
        yield f"- {note}"
    yield "\n<details><summary>Columns</summary>\n\n| column | type | |\n|---|---|---|"
    for column in report["columns"]:  # type: ignore[attr-defined]
        yield f"| `{column['name']}` | {column['type']} | {column['description']} |"
    yield "\n</details>\n"


def _code(words: object) -> str:
    return ", ".join(f"`{word}`" for word in words) or "none"  # type: ignore[attr-defined]


def known_drift() -> str:
    """The fields that no column holds, a row per report."""
    drift = json.loads(Path(__file__).with_name("known_drift.json").read_bytes())
    newer = f"newer than {drift['pinned']}, up to {drift['newest']}"
    rows = [f"| report | {newer} | omitted by Stripe's specification |", "|---|---|---|"]
    for key, fields in drift["reports"].items():
        rows.append(f"| `{key}` | {_code(fields['newer'])} | {_code(fields['omitted'])} |")
    return "\n".join(rows)


def errors() -> str:
    """The tree of errors, with exit codes."""
    return "\n".join(["| error | exit code | when |", "|---|--:|---|", *_errors(CounterfoilError, 0)])


def _errors(kind: type[CounterfoilError], depth: int) -> Iterator[str]:
    told = (kind.__doc__ or "").strip().splitlines()[0]
    yield f"| {'&nbsp;&nbsp;' * depth}`{kind.__name__}` | {kind.exit_code} | {told} |"
    for below in kind.__subclasses__():
        yield from _errors(below, depth + 1)


def problems() -> str:
    """A row per status of the API's problems, with their codes."""
    statuses = sorted({status for status, _ in CODES.values()})
    told = {status: [code for code, (known, _) in CODES.items() if known == status] for status in statuses}
    rows = [f"| {status} | {_code(codes)} |" for status, codes in told.items()]
    return "\n".join(["| status | codes |", "|---|---|", *rows])
