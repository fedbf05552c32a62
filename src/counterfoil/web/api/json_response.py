"""Answers as JSON, without what looks like a key of Stripe's or a token, and what several routes share."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Path, Query
from starlette.responses import JSONResponse, Response

from counterfoil.app.app import App
from counterfoil.app.values import Dataset, Run
from counterfoil.logging import redacted
from counterfoil.web.api.problems import looked_up

V1 = "/api/v1"

DatasetWord = Annotated[str, Path(alias="dataset", description="The dataset's name or id.")]
RunWord = Annotated[str, Path(alias="run", description="The run's id.")]
DryRun = Annotated[bool, Query(description="Check everything and answer what would be, without saving it.")]
Overwrite = Annotated[
    bool, Query(description="Let the first run replace a table that earlier loads filled with more than this holds.")
]
Form = Literal["csv", "parquet", "jsonl"]
AsIs = Annotated[bool, Query(description="In CSV, leave text alone that a spreadsheet would run as a formula.")]

#: How the document tells files.
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All rows, streamed.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("text/csv", "application/vnd.apache.parquet", "application/jsonl")
        },
    }
}


class RedactedJson(JSONResponse):
    """JSON without what looks like a key of Stripe's or a token."""

    def render(self, content: object) -> bytes:
        return redacted(json.dumps(content, ensure_ascii=False, allow_nan=False)).encode(errors="replace")


def address_of(place: str) -> str:
    """The value of `Location` for what is below `/api/v1`."""
    return V1 + quote(place)


def json_response(value: object, status: int = 200, *, location: str | None = None) -> Response:
    """The value as JSON; `location` is the address of what was made, below `/api/v1`."""
    headers = {} if location is None else {"Location": address_of(location)}
    return RedactedJson(value, status, headers)


def dataset_of(app: App, word: str) -> Dataset:
    """The dataset that an address names."""
    with looked_up():
        return app.datasets.get(word)


def run_of(app: App, word: str) -> Run:
    """The run that an address names."""
    with looked_up():
        return app.runs.get(word)
