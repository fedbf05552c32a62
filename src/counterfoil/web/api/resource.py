"""Router, parameters and lookups shared by all resources."""

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
DryRun = Annotated[bool, Query(description="Check everything and return the result without saving it.")]
Overwrite = Annotated[
    bool, Query(description="Let the first run replace a table that holds more rows from earlier loads.")
]
Form = Literal["csv", "parquet", "jsonl"]
AsIs = Annotated[bool, Query(description="In CSV, don't escape text that a spreadsheet would run as a formula.")]

#: The description of file responses.
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
    """A router for the routes of a resource. Routes return models, which define the OpenAPI document."""
    return APIRouter(prefix=V1, tags=[tag], default_response_class=RedactedJson)


def address_of(place: str) -> str:
    """The value of `Location` for a path below `/api/v1`."""
    return V1 + quote(place)


def dataset_of(app: App, word: str) -> Dataset:
    """The dataset with a name or id; 404 if there is none."""
    with looked_up():
        return app.datasets.get(word)


def run_of(app: App, word: str) -> Run:
    """The run with an id; 404 if there is none."""
    with looked_up():
        return app.runs.get(word)
