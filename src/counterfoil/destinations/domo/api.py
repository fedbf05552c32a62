"""Domo's DataSets, Streams and executions as far as loads need them.

Facts: DataSet-API.yaml and Stream-API.yaml in portal/API-Reference/Domo-APIs of DomoApps/domo-documentation-hub on
GitHub, shown as https://developer.domo.com/portal/3b1e3a7d5f420 and https://developer.domo.com/portal/lw7cqi3lqufah.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from counterfoil.destinations.domo.client import DomoClient
from counterfoil.errors import DestinationRejected, TransientError

#: The most that one list of DataSets, and of executions, holds.
_DATASETS, _EXECUTIONS = 50, 500

#: Name and type of each column: STRING, DECIMAL, LONG, DOUBLE, DATE or DATETIME.
Columns = Sequence[tuple[str, str]]
UpdateMethod = Literal["REPLACE", "APPEND"]

#: What an execution says while it takes parts, and for a while after it was committed: the documented answer to a
#: commit has it. Of the ends only SUCCESS is seen in examples; whatever is neither is taken for a failure.
ACTIVE, SUCCESS = "ACTIVE", "SUCCESS"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table of Domo's. Names are not unique."""

    id: str
    name: str
    description: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    #: Whether policies limit who sees which rows; said again with every update, since it must not end by one.
    policies: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """The way into a DataSet that was made together with it; there is no other to put one on a DataSet."""

    id: int
    method: str


class DomoApi:
    """The calls. All raise what `DomoClient.ask` raises."""

    def __init__(self, client: DomoClient) -> None:
        self.client = client

    def check(self) -> None:
        """One look that needs the client, its secret and its scope."""
        self.client.ask("GET", "/v1/datasets", {"limit": "1"})

    def datasets(self, name: str) -> list[DataSet]:
        """Those with exactly this name; `nameLike` finds all that hold it, whatever the case."""
        return [
            self.dataset(told["id"])
            for told in self._pages("/v1/datasets", _DATASETS, nameLike=name)
            if told.get("name") == name
        ]

    def dataset(self, number: str) -> DataSet:
        told = self.client.ask("GET", f"/v1/datasets/{number}")
        columns = (told.get("schema") or {}).get("columns") or ()
        return DataSet(
            id=told["id"],
            name=told.get("name", ""),
            description=told.get("description") or "",
            rows=int(told.get("rows") or 0),
            columns=tuple((column["name"], column["type"]) for column in columns),
            policies=bool(told.get("pdpEnabled")),
        )

    def describe(self, dataset: DataSet, description: str) -> None:
        self._update(dataset, {"description": description})

    def reshape(self, dataset: DataSet, columns: Columns, description: str) -> None:
        """The columns that parts and rows have from now on, by place; with the description in one step."""
        self._update(dataset, {"description": description, "schema": _schema(columns)})

    def create(self, name: str, description: str, columns: Columns, method: UpdateMethod) -> tuple[DataSet, Stream]:
        """A DataSet with its Stream. When the answer is lost, they may be there all the same."""
        dataset = {"name": name, "description": description, "schema": _schema(columns)}
        told = self.client.ask("POST", "/v1/streams", json={"dataSet": dataset, "updateMethod": method}, twice=False)
        return (DataSet(told["dataSet"]["id"], name, description, 0, tuple(columns)), Stream(int(told["id"]), method))

    def delete(self, dataset: DataSet) -> None:
        """The DataSet first: without one its Stream is nothing, and without a Stream the DataSet takes no loads."""
        stream = self.stream(dataset)
        self._unless_gone("DELETE", f"/v1/datasets/{dataset.id}")
        if stream is not None:
            self._unless_gone("DELETE", f"/v1/streams/{stream.id}")

    def stream(self, dataset: DataSet) -> Stream | None:
        """None for a DataSet that was not made by the Stream API, and takes no parts."""
        found = self.client.ask("GET", "/v1/streams/search", {"q": f"dataSource.id:{dataset.id}", "fields": "all"})
        told = next((each for each in found or () if (each.get("dataSet") or {}).get("id") == dataset.id), None)
        return Stream(int(told["id"]), told.get("updateMethod", "")) if told else None

    def use(self, stream: Stream, method: UpdateMethod) -> None:
        """How executions that begin from now on change the DataSet; named in both places that the page names."""
        if stream.method != method:
            self.client.ask(
                "PATCH", f"/v1/streams/{stream.id}", {"updateMethod": method}, json={"updateMethod": method}
            )

    def begin(self, stream: Stream) -> int:
        """A new execution. When the answer is lost, it may be there all the same."""
        told = self.client.ask("POST", f"/v1/streams/{stream.id}/executions", json={}, twice=False)
        return int(told["id"])

    def active(self, stream: Stream) -> list[int]:
        """Executions that are open."""
        found = self._pages(f"/v1/streams/{stream.id}/executions", _EXECUTIONS)
        return [int(told["id"]) for told in found if told.get("currentState") == ACTIVE]

    def state(self, stream: Stream, execution: int) -> str:
        """Its state; empty when there is no such execution."""
        told = self._unless_gone("GET", f"/v1/streams/{stream.id}/executions/{execution}")
        return str(told.get("currentState", "")) if told else ""

    def upload(self, stream: Stream, execution: int, number: int, part: Path) -> None:
        """The part with this number, from 1 on; the same again takes its place."""
        self.client.ask("PUT", f"/v1/streams/{stream.id}/executions/{execution}/part/{number}", part=part)

    def commit(self, stream: Stream, execution: int) -> None:
        """When the answer is lost, it may be committed all the same."""
        self.client.ask("PUT", f"/v1/streams/{stream.id}/executions/{execution}/commit", json={}, twice=False)

    def abort(self, stream: Stream, execution: int) -> None:
        """Ends the execution, unless it has ended: which of the two, its state says."""
        try:
            self.client.ask("PUT", f"/v1/streams/{stream.id}/executions/{execution}/abort", json={})
        except DestinationRejected as error:
            if error.status not in (400, 404, 409):
                raise

    def _update(self, dataset: DataSet, change: dict[str, Any]) -> None:
        told = {"name": dataset.name, "pdpEnabled": dataset.policies, **change}
        self.client.ask("PUT", f"/v1/datasets/{dataset.id}", json=told)

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
                raise TransientError("Domo answered something else than a list", path=path)
            yield from page
            if len(page) < limit:
                return
            offset += limit


def _schema(columns: Columns) -> dict[str, Any]:
    return {"columns": [{"name": name, "type": kind} for name, kind in columns]}
