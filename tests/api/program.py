"""A program that asks the API, and takes no answer that the OpenAPI document does not describe."""

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
    """Its token goes into every request; `document` judges the answers."""

    page: FastAPI
    document: Document
    token: str | None
    address: str = "127.0.0.1"

    def ask(self, method: str, path: str, body: Any = None, status: int | None = None, **headers: str) -> Answer:
        """Of a path below `/api/v1`; bodies are sent as JSON unless they are bytes."""
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"content-type": "application/json"} | {name.replace("_", "-"): one for name, one in headers.items()}
        if self.token is not None:
            given = {"authorization": f"Bearer {self.token}"} | given
        answer = Browser(self.page, address=self.address).ask(method, f"/api/v1{path}", headers=given, body=sent)
        judge(self.document, method, f"/api/v1{path.partition('?')[0]}", answer)
        if status is not None:
            assert answer.status == status, (method, path, answer.status, answer.text)
        return answer

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        """The JSON of an answer."""
        return json.loads(self.ask("GET", path, status=status, **headers).text)

    def send(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        return json.loads(self.ask(method, path, body, status).text)

    def problem(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = self.ask(method, path, body)
        assert answer["content-type"] == "application/problem+json"
        told = json.loads(answer.text)
        assert told["status"] == answer.status
        return answer.status, told["code"]


def judge(document: Document, method: str, path: str, answer: Answer) -> None:
    """Fails for an answer that is not in the document."""
    operation = _operation(document, method, path)
    if operation is None:
        assert answer.status in (401, 404, 405, 429, 400, 403, 421), (method, path, answer.status)
        return
    told = operation["responses"].get(str(answer.status))
    assert told is not None, (method, path, answer.status, answer.text)
    if "$ref" in told:
        told = document["components"]["responses"][told["$ref"].rpartition("/")[2]]
    kind = answer["content-type"].partition(";")[0]
    assert kind in told["content"], (method, path, kind)
    if kind.endswith("json"):
        errors = [
            f"{one.json_path}: {one.message}"
            for one in _validator(json.dumps(told["content"][kind]["schema"]), _Kept(document)).iter_errors(
                json.loads(answer.text)
            )
        ]
        assert errors == [], (method, path)


class _Kept(dict[str, Any]):
    """A document that can be the key of a cache."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 1


@cache
def _validator(schema: str, document: _Kept) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": document["components"]})


def _operation(document: Document, method: str, path: str) -> Mapping[str, Any] | None:
    for pattern, known in _patterns(tuple(document["paths"])):
        if pattern.fullmatch(path) and method.lower() in document["paths"][known]:
            found: Mapping[str, Any] = document["paths"][known][method.lower()]
            return found
    return None


@cache
def _patterns(paths: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
    """Those with fewer parts that vary first."""
    ordered = sorted(paths, key=lambda path: path.count("{"))
    # A question's name may have any character.
    spelled = [re.escape(path).replace(r"\{name\}", ".+") for path in ordered]
    return [
        (re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", one)), path) for one, path in zip(spelled, ordered, strict=True)
    ]
