"""An API client that validates every response against the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import FastAPI
from jsonschema import Draft202012Validator

from tests.web.browser import Answer, Browser

Document = Mapping[str, Any]


@dataclass
class Program:
    """A client that sends its token with every request, and validates responses with `document`."""

    page: FastAPI
    document: Document
    token: str | None
    address: str = "127.0.0.1"

    def ask(self, method: str, path: str, body: Any = None, status: int | None = None, **headers: str) -> Answer:
        """Requests a path below `/api/v1`; sends bodies as JSON unless they are bytes."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | {name.replace("_", "-"): one for name, one in headers.items()}
        if self.token is not None:
            sent = {"authorization": f"Bearer {self.token}"} | sent
        answer = Browser(self.page, address=self.address).ask(method, f"/api/v1{path}", headers=sent, body=content)
        validate(self.document, method, f"/api/v1{path.partition('?')[0]}", answer)
        if status is not None:
            assert answer.status == status, (method, path, answer.status, answer.text)
        return answer

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        """The JSON of the response to a GET request."""
        return json.loads(self.ask("GET", path, status=status, **headers).text)

    def send(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The JSON of the response to a request."""
        return json.loads(self.ask(method, path, body, status).text)

    def problem(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """The status and the code of an error response."""
        answer = self.ask(method, path, body)
        assert answer["content-type"] == "application/problem+json"
        problem = json.loads(answer.text)
        assert problem["status"] == answer.status
        return answer.status, problem["code"]


def validate(document: Document, method: str, path: str, answer: Answer) -> None:
    """Fails for a response that the document does not describe."""
    operation = _operation(document, method, path)
    if operation is None:
        assert answer.status in (401, 404, 405, 429, 400, 403, 421), (method, path, answer.status)
        return
    described = operation["responses"].get(str(answer.status))
    assert described is not None, (method, path, answer.status, answer.text)
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    kind = answer["content-type"].partition(";")[0]
    assert kind in described["content"], (method, path, kind)
    if kind.endswith("json"):
        errors = [
            f"{one.json_path}: {one.message}"
            for one in _validator(json.dumps(described["content"][kind]["schema"]), _Hashable(document)).iter_errors(
                json.loads(answer.text)
            )
        ]
        assert errors == [], (method, path)


class _Hashable(dict[str, Any]):
    """A document that can be a cache key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 1


@cache
def _validator(schema: str, document: _Hashable) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": document["components"]})


def _operation(document: Document, method: str, path: str) -> Mapping[str, Any] | None:
    for pattern, known in _patterns(tuple(document["paths"])):
        if pattern.fullmatch(path) and method.lower() in document["paths"][known]:
            found: Mapping[str, Any] = document["paths"][known][method.lower()]
            return found
    return None


@cache
def _patterns(paths: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
    """Patterns of the paths, with fewer parameters first."""
    ordered = sorted(paths, key=lambda path: path.count("{"))
    # The name of a saved query can contain any character.
    escaped = [re.escape(path).replace(r"\{name\}", ".+") for path in ordered]
    return [
        (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", one)), path) for one, path in zip(escaped, ordered, strict=True)
    ]
