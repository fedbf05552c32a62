"""Domo's documented API in memory, including the rows; rejects undocumented requests.

Where the documentation is unclear, this API is strict: it rejects a second open execution, a part after the commit, a
gap between parts, and a commit without parts. It can simulate failures.
"""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import re
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

CLIENT, SECRET = "441e307a-client", "f103fc45-secret"
_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\Z)')
_SECOND = "%Y-%m-%dT%H:%M:%S"


def _instant(text: str) -> dt.datetime:
    form = f"{_SECOND}.%f" if "." in text else _SECOND
    return dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)


_TYPES: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "LONG": int,
    "DOUBLE": float,
    "DECIMAL": Decimal,
    "DATE": dt.date.fromisoformat,
    "DATETIME": _instant,
}


@dataclass
class DataSet:
    id: str
    name: str
    description: str
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    policies: bool = False

    def as_dict(self) -> dict[str, Any]:
        shape = {"rows": len(self.rows), "columns": len(self.columns), "schema": {"columns": self.columns}}
        return {"id": self.id, "name": self.name, "description": self.description, "pdpEnabled": self.policies, **shape}


@dataclass
class Execution:
    id: int
    update: str
    state: str = "ACTIVE"
    committed: bool = False
    parts: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "currentState": self.state, "startedAt": "2016-05-27T15:16:01Z"}


@dataclass
class Stream:
    id: int
    dataset: DataSet
    update: str
    executions: dict[int, Execution] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        dataset = {"id": self.dataset.id, "name": self.dataset.name, "rows": len(self.dataset.rows)}
        return {"id": self.id, "dataSet": dataset, "updateMethod": self.update}


@dataclass
class Trouble:
    """A failure of the next `times` matching requests: a status, or a connection cut before or after the change."""

    what: re.Pattern[str]
    how: int | Literal["cut", "lost"] | Callable[[], None]
    times: int


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class DomoServer:
    """One Domo, with one client."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.lock = threading.RLock()
        self.datasets: dict[str, DataSet] = {}
        self.streams: dict[int, Stream] = {}
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        self.troubles: list[Trouble] = []
        #: The text of the last part.
        self.last_part = ""
        #: The number of status requests until a committed execution is finished.
        self.looks = 0
        self._number = 0
        self._active = 0
        self._idle = threading.Condition()

    def url(self, **query: str) -> str:
        parameters = "&".join(f"{name}={value}" for name, value in query.items())
        return f"domo://{CLIENT}@127.0.0.1:{self.port}{'?' if parameters else ''}{parameters}"

    def fail(self, what: str, how: int | Literal["cut", "lost"] | Callable[[], None], times: int = 1) -> None:
        """Simulates failures of requests that match `what`, a pattern of `METHOD /path`."""
        self.troubles.append(Trouble(re.compile(what), how, times))

    def dataset(self, name: str) -> DataSet | None:
        return next((each for each in self.datasets.values() if each.name == name), None)

    def seen(self, name: str) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
        """A snapshot of the columns and rows, as a user of Domo sees them."""
        with self.lock:
            dataset = self.dataset(name)
            assert dataset, f"DataSet {name} not found"
            columns = [(column["name"], column["type"]) for column in dataset.columns]
            return columns, [{column: row.get(column) for column, _ in columns} for row in dataset.rows]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return self.seen(name)[1]

    def make(self, name: str, rows: list[dict[str, Any]], *, by_stream: bool = False) -> DataSet:
        """Creates a DataSet of another program."""
        kinds = {str: "STRING", int: "LONG"}
        columns = [{"name": column, "type": kinds[type(value)]} for column, value in rows[0].items()]
        dataset = DataSet(str(uuid.uuid4()), name, "By another program", columns, rows)
        self.datasets[dataset.id] = dataset
        if by_stream:
            stream = Stream(self.next(), dataset, "APPEND")
            self.streams[stream.id] = stream
        return dataset

    def next(self) -> int:
        self._number += 1
        return self._number

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """Counts an active request, whose client can disconnect before the request ends."""
        with self._idle:
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def settle(self) -> None:
        """Waits until no request is active."""
        with self._idle:
            assert self._idle.wait_for(lambda: not self._active, 60)

    def trouble(self, request: str) -> int | str | Callable[[], None] | None:
        with self.lock:
            for trouble in self.troubles:
                if trouble.times and trouble.what.search(request):
                    trouble.times -= 1
                    return trouble.how
        return None

    # The API.

    def token(self, authorization: str, query: dict[str, str]) -> dict[str, Any]:
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {expected}":
            raise Refusal(401, "Bad credentials")
        if query != {"grant_type": "client_credentials", "scope": "data"}:
            raise Refusal(400, "invalid_request")
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return {"access_token": token, "token_type": "bearer", "expires_in": 3599, "scope": "data"}

    def list_datasets(self, query: dict[str, str]) -> list[Any]:
        limit, offset = _page(query, 50)
        like = query.get("nameLike", "").lower()
        found = [each.as_dict() for each in self.datasets.values() if like in each.name.lower()]
        return [{k: v for k, v in each.items() if k != "schema"} for each in found[offset : offset + limit]]

    def put_dataset(self, number: str, body: dict[str, Any]) -> dict[str, Any]:
        dataset = self._dataset(number)
        dataset.name = body.get("name", dataset.name)
        dataset.description = body.get("description", dataset.description)
        dataset.policies = body.get("pdpEnabled", False)
        if "schema" in body:
            dataset.columns = _columns(body["schema"])
        return dataset.as_dict()

    def delete_dataset(self, number: str) -> None:
        self._dataset(number)
        del self.datasets[number]

    def post_stream(self, body: dict[str, Any]) -> dict[str, Any]:
        described = body["dataSet"]
        if body["updateMethod"] not in ("APPEND", "REPLACE"):
            raise Refusal(400, "unknown update method")
        dataset = DataSet(str(uuid.uuid4()), described["name"], described["description"], _columns(described["schema"]))
        self.datasets[dataset.id] = dataset
        stream = Stream(self.next(), dataset, body["updateMethod"])
        self.streams[stream.id] = stream
        return stream.as_dict()

    def search_streams(self, query: dict[str, str]) -> list[Any]:
        qualifier, _, number = query["q"].partition(":")
        if qualifier != "dataSource.id":
            raise Refusal(400, "unknown qualifier")
        return [each.as_dict() for each in self.streams.values() if each.dataset.id == number]

    def patch_stream(self, stream: Stream, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if query.get("updateMethod") != body["updateMethod"] or body["updateMethod"] not in ("APPEND", "REPLACE"):
            raise Refusal(400, "unknown update method")
        stream.update = body["updateMethod"]
        return stream.as_dict()

    def post_execution(self, stream: Stream) -> dict[str, Any]:
        if any(each.state == "ACTIVE" for each in stream.executions.values()):
            raise Refusal(409, "the Stream has an active execution")
        execution = Execution(self.next(), stream.update)
        stream.executions[execution.id] = execution
        return execution.as_dict()

    def list_executions(self, stream: Stream, query: dict[str, str]) -> list[Any]:
        limit, offset = _page(query, 500)
        return [each.as_dict() for each in stream.executions.values()][offset : offset + limit]

    def look(self, stream: Stream, execution: Execution) -> dict[str, Any]:
        if execution.committed and execution.state == "ACTIVE":
            self.looks -= 1
            if self.looks <= 0:
                self._finish(stream, execution)
        return execution.as_dict()

    def put_part(self, stream: Stream, execution: Execution, number: int, body: bytes) -> dict[str, Any]:
        if execution.state != "ACTIVE" or execution.committed or number < 1:
            raise Refusal(400, f"execution {execution.id} rejects part {number}")
        self.last_part = _unpacked(body)
        execution.parts[number] = _parsed(self.last_part, stream.dataset.columns)
        return execution.as_dict()

    def commit(self, stream: Stream, execution: Execution) -> dict[str, Any]:
        if execution.state != "ACTIVE" or execution.committed:
            raise Refusal(409, f"execution {execution.id} is {execution.state}")
        if sorted(execution.parts) != list(range(1, len(execution.parts) + 1)) or not execution.parts:
            raise Refusal(400, "parts are missing")
        execution.committed = True
        committed = execution.as_dict()
        if not self.looks:
            self._finish(stream, execution)
        return committed

    def abort(self, execution: Execution) -> dict[str, Any]:
        if execution.state != "ACTIVE" or execution.committed:
            raise Refusal(409, f"execution {execution.id} is {execution.state}")
        execution.state = "ABORTED"
        return execution.as_dict()

    def _finish(self, stream: Stream, execution: Execution) -> None:
        rows = [row for number in sorted(execution.parts) for row in execution.parts[number]]
        stream.dataset.rows = rows if execution.update == "REPLACE" else stream.dataset.rows + rows
        execution.state, execution.parts = "SUCCESS", {}

    def _dataset(self, number: str) -> DataSet:
        if number not in self.datasets:
            raise Refusal(404, "DataSet not found")
        return self.datasets[number]

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        """The response to a request with a valid token."""
        kind, *rest = path.removeprefix("/v1/").split("/")
        fields = json.loads(body) if body and "/part/" not in path else {}
        match (method, kind, *rest):
            case ("GET", "datasets"):
                return self.list_datasets(query)
            case ("GET", "datasets", number):
                return self._dataset(number).as_dict()
            case ("PUT", "datasets", number):
                return self.put_dataset(number, fields)
            case ("DELETE", "datasets", number):
                return self.delete_dataset(number)
            case ("POST", "streams"):
                return self.post_stream(fields)
            case ("GET", "streams", "search"):
                return self.search_streams(query)
            case (_, "streams", number, *under) if number.isdigit() and int(number) in self.streams:
                return self._of_stream(method, self.streams[int(number)], under, query, fields, body)
        raise Refusal(404, f"{method} {path}")

    def _of_stream(
        self, method: str, stream: Stream, under: list[str], query: dict[str, str], fields: Any, body: bytes
    ) -> Any:
        match (method, *under):
            case ("PATCH",):
                return self.patch_stream(stream, query, fields)
            case ("DELETE",):
                del self.streams[stream.id]
                return None
            case ("POST", "executions"):
                return self.post_execution(stream)
            case ("GET", "executions"):
                return self.list_executions(stream, query)
            case (_, "executions", number, *what) if int(number) in stream.executions:
                execution = stream.executions[int(number)]
                match (method, *what):
                    case ("GET",):
                        return self.look(stream, execution)
                    case ("PUT", "part", part):
                        return self.put_part(stream, execution, int(part), body)
                    case ("PUT", "commit"):
                        return self.commit(stream, execution)
                    case ("PUT", "abort"):
                        return self.abort(execution)
        raise Refusal(404, f"{method} {'/'.join(under)}")


def _page(query: dict[str, str], most: int) -> tuple[int, int]:
    limit = int(query.get("limit", "50"))
    if not 1 <= limit <= most:
        raise Refusal(400, f"the limit is {most}")
    return limit, int(query.get("offset", "0"))


def _columns(schema: dict[str, Any]) -> list[dict[str, str]]:
    for column in schema["columns"]:
        if column.keys() != {"name", "type"} or column["type"] not in _TYPES or not column["name"]:
            raise Refusal(400, f"unknown column {column}")
    return list(schema["columns"])


def _unpacked(body: bytes) -> str:
    try:
        return gzip.decompress(body).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise Refusal(400, "the part is not gzip'd UTF-8") from None


def _parsed(text: str, columns: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The rows of a part in CSV; an empty field is a null and `""` an empty string."""
    kinds = [(column["name"], _TYPES[column["type"]]) for column in columns]
    rows, row, at = [], [], 0
    while at < len(text):
        found = _FIELD.match(text, at)
        if not found or (not found[3] and found.end() != len(text)):
            raise Refusal(400, f"the CSV is wrong at {at}")
        at = found.end()
        row.append(found[1].replace('""', '"') if found[1] is not None else found[2] or None)
        if found[3] != ",":
            if len(row) != len(kinds):
                raise Refusal(400, f"a row has {len(row)} fields and the schema {len(kinds)}")
            try:
                rows.append({name: None if v is None else kind(v) for (name, kind), v in zip(kinds, row, strict=True)})
            except (ValueError, ArithmeticError):
                raise Refusal(400, f"a value of {row} is not of its type") from None
            row = []
    return rows
