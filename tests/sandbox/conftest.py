"""Fixtures: an unchanging company for the whole session, and a small company for each test that changes it."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from stripe_sandbox import Sandbox

KEY = "sk_test_demo_sandbox"


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> dict[str, Any]:
        return self.body["error"]


class Client:
    """Raw HTTP requests, so that no library hides anything."""

    def __init__(self, sandbox: Sandbox, *, unchanging: bool = False) -> None:
        self.sandbox = sandbox
        #: Complete lists of an unchanging company, which have to be read only once.
        self._read: dict[str, list[dict[str, Any]]] | None = {} if unchanging else None

    def send(
        self,
        method: str,
        path: str,
        params: Any = None,
        *,
        key: str | None = KEY,
        headers: dict[str, str] | None = None,
    ) -> Response:
        all_headers = ({"Authorization": f"Bearer {key}"} if key else {}) | (headers or {})
        text = urlencode(params or [], doseq=True)
        connection = http.client.HTTPConnection(self.sandbox.host, self.sandbox.port, timeout=10)
        try:
            if method == "GET":
                connection.request(method, f"{path}?{text}" if text else path, headers=all_headers)
            else:
                connection.request(
                    method, path, text, all_headers | {"Content-Type": "application/x-www-form-urlencoded"}
                )
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        if response.getheader("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        return Response(response.status, dict(response.getheaders()), json.loads(raw))

    def get(self, path: str, params: Any = None, **options: Any) -> Any:
        """The body of a response, which must have the status 200."""
        response = self.send("GET", path, params, **options)
        assert response.status == 200, response.body
        return response.body

    def all(self, path: str, params: dict[str, Any] | None = None, limit: int = 100) -> list[dict[str, Any]]:
        name = repr((path, params, limit))
        if self._read is not None and name in self._read:
            return list(self._read[name])
        found: list[dict[str, Any]] = []
        more = True
        while more:
            cursor = {"starting_after": found[-1]["id"]} if found else {}
            page = self.get(path, {"limit": limit, **(params or {}), **cursor})
            found += page["data"]
            more = page["has_more"]
        if self._read is not None:
            self._read[name] = list(found)
        return found


@pytest.fixture(scope="session")
def company() -> Iterator[Client]:
    with Sandbox() as sandbox:
        yield Client(sandbox, unchanging=True)


@pytest.fixture
def own() -> Iterator[Client]:
    with Sandbox(scale=0.2) as sandbox:
        yield Client(sandbox)


@pytest.fixture(scope="session")
def active() -> Iterator[Client]:
    """A small company after five weeks of simulated activity, which has stopped."""
    with Sandbox(scale=0.05, life=40) as sandbox:
        sandbox.control("advance", seconds=35 * 86_400)
        sandbox.control("life", per_day=None)
        yield Client(sandbox, unchanging=True)


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}
