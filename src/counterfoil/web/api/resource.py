"""The router, the parameters and the lookups that the resources share."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query

from counterfoil.app.app import App
from counterfoil.app.values import Dataset, Run
from counterfoil.web.api.answers import RedactedJson
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


def router_of(tag: str) -> APIRouter:
    """A router for the routes of a resource. They return models, which are sent as the document describes them."""
    return APIRouter(prefix=V1, tags=[tag], default_response_class=RedactedJson)


def address_of(place: str) -> str:
    """The value of `Location` for what is below `/api/v1`."""
    return V1 + quote(place)


def dataset_of(app: App, word: str) -> Dataset:
    """The dataset that an address names."""
    with looked_up():
        return app.datasets.get(word)


def run_of(app: App, word: str) -> Run:
    """The run that an address names."""
    with looked_up():
        return app.runs.get(word)
