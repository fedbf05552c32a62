"""The parts of Domo's API that loads need: DataSets, Streams and executions.

Sources: DataSet-API.yaml and Stream-API.yaml in portal/API-Reference/Domo-APIs of DomoApps/domo-documentation-hub on
GitHub, shown as https://developer.domo.com/portal/3b1e3a7d5f420 and https://developer.domo.com/portal/lw7cqi3lqufah.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from counterfoil.destinations.domo.client import DomoClient
from counterfoil.errors import DestinationRejected, TransientError

#: The maximum page sizes for DataSets and for executions.
_DATASETS, _EXECUTIONS = 50, 500

#: Name and type of each column: STRING, DECIMAL, LONG, DOUBLE, DATE or DATETIME.
Columns = Sequence[tuple[str, str]]
UpdateMethod = Literal["REPLACE", "APPEND"]

#: The state of an execution while it accepts parts, and for a while after the commit: the documented response to a
#: commit has it. Of the final states, only SUCCESS is in examples; any other state counts as a failure.
ACTIVE, SUCCESS = "ACTIVE", "SUCCESS"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table in Domo. Names are not unique."""

    id: str
    name: str
    description: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    #: Whether policies limit access to rows. Every update repeats this value, so that no update turns it off.
    policies: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """The upload channel of a DataSet. It is created with the DataSet and cannot be added to an existing one."""

    id: int
    method: str


class DomoApi:
    """The API calls. All raise the errors of `DomoClient.ask`."""

    def __init__(self, client: DomoClient) -> None:
        self.client = client

    def check(self) -> None:
        """One request that needs the client, its secret and its scope."""
        self.client.ask("GET", "/v1/datasets", {"limit": "1"})

    def datasets(self, name: str) -> list[DataSet]:
        """The DataSets with exactly this name; `nameLike` finds all that contain it, in any case."""
        return [
            self.dataset(item["id"])
            for item in self._pages("/v1/datasets", _DATASETS, nameLike=name)
            if item.get("name") == name
        ]

    def dataset(self, number: str) -> DataSet:
        body = self.client.ask("GET", f"/v1/datasets/{number}")
        columns = (body.get("schema") or {}).get("columns") or ()
        return DataSet(
            id=body["id"],
            name=body.get("name", ""),
            description=body.get("description") or "",
            rows=int(body.get("rows") or 0),
            columns=tuple((column["name"], column["type"]) for column in columns),
            policies=bool(body.get("pdpEnabled")),
        )

    def describe(self, dataset: DataSet, description: str) -> None:
        self._update(dataset, {"description": description})

    def reshape(self, dataset: DataSet, columns: Columns, description: str) -> None:
        """Sets the columns, by position, of all later parts and rows, and the description, in one step."""
        self._update(dataset, {"description": description, "schema": _schema(columns)})

    def create(self, name: str, description: str, columns: Columns, method: UpdateMethod) -> tuple[DataSet, Stream]:
        """Creates a DataSet with its Stream. If the response is lost, they may exist all the same."""
        dataset = {"name": name, "description": description, "schema": _schema(columns)}
        body = self.client.ask("POST", "/v1/streams", json={"dataSet": dataset, "updateMethod": method}, twice=False)
        return (DataSet(body["dataSet"]["id"], name, description, 0, tuple(columns)), Stream(int(body["id"]), method))

    def delete(self, dataset: DataSet) -> None:
        """Deletes the DataSet first: a DataSet without its Stream would exist but accept no loads."""
        stream = self.stream(dataset)
        self._unless_gone("DELETE", f"/v1/datasets/{dataset.id}")
        if stream is not None:
            self._unless_gone("DELETE", f"/v1/streams/{stream.id}")

    def stream(self, dataset: DataSet) -> Stream | None:
        """None for a DataSet that the Stream API did not create, which accepts no parts."""
        found = self.client.ask("GET", "/v1/streams/search", {"q": f"dataSource.id:{dataset.id}", "fields": "all"})
        item = next((each for each in found or () if (each.get("dataSet") or {}).get("id") == dataset.id), None)
        return Stream(int(item["id"]), item.get("updateMethod", "")) if item else None

    def use(self, stream: Stream, method: UpdateMethod) -> None:
        """Sets how later executions change the DataSet, in both places that the documentation names."""
        if stream.method != method:
            self.client.ask(
                "PATCH", f"/v1/streams/{stream.id}", {"updateMethod": method}, json={"updateMethod": method}
            )

    def begin(self, stream: Stream) -> int:
        """Creates an execution. If the response is lost, it may exist all the same."""
        body = self.client.ask("POST", f"/v1/streams/{stream.id}/executions", json={}, twice=False)
        return int(body["id"])

    def active(self, stream: Stream) -> list[int]:
        """The open executions."""
        found = self._pages(f"/v1/streams/{stream.id}/executions", _EXECUTIONS)
        return [int(item["id"]) for item in found if item.get("currentState") == ACTIVE]

    def state(self, stream: Stream, execution: int) -> str:
        """The state of the execution; empty if it does not exist."""
        body = self._unless_gone("GET", f"/v1/streams/{stream.id}/executions/{execution}")
        return str(body.get("currentState", "")) if body else ""

    def upload(self, stream: Stream, execution: int, number: int, part: Path) -> None:
        """Uploads the part with this number, from 1. A repeated upload replaces it."""
        self.client.ask("PUT", f"/v1/streams/{stream.id}/executions/{execution}/part/{number}", part=part)

    def commit(self, stream: Stream, execution: int) -> None:
        """Commits. If the response is lost, the execution may be committed all the same."""
        self.client.ask("PUT", f"/v1/streams/{stream.id}/executions/{execution}/commit", json={}, twice=False)

    def abort(self, stream: Stream, execution: int) -> None:
        """Ends the execution unless it has already ended; its state shows which."""
        try:
            self.client.ask("PUT", f"/v1/streams/{stream.id}/executions/{execution}/abort", json={})
        except DestinationRejected as error:
            if error.status not in (400, 404, 409):
                raise

    def _update(self, dataset: DataSet, change: dict[str, Any]) -> None:
        body = {"name": dataset.name, "pdpEnabled": dataset.policies, **change}
        self.client.ask("PUT", f"/v1/datasets/{dataset.id}", json=body)

    def _unless_gone(self, method: str, path: str) -> Any:
        try:
            return self.client.ask(method, path)
        except DestinationRejected as error:
            if error.status == 404:
                return None
            raise

    def _pages(self, path: str, limit: int, **query: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self.client.ask("GET", path, {**query, "limit": str(limit), "offset": str(offset)})
            if not isinstance(page, list):
                raise TransientError("Domo returned an unexpected response: not a list", path=path)
            yield from page
            if len(page) < limit:
                return
            offset += limit


def _schema(columns: Columns) -> dict[str, Any]:
    return {"columns": [{"name": name, "type": kind} for name, kind in columns]}
