"""One simulated Stripe for the tests that only read it, and one of its own for a test that steers it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from stripe_sandbox import Sandbox

KEY = "sk_test_demo"


@dataclass(frozen=True)
class Stripe:
    """The sandbox as a plain program would speak to it: one request after the other, without any code of ours."""

    url: str

    def get(self, path: str, params: list[tuple[str, str]] | None = None, *, version: str | None = None) -> Any:
        query = f"?{urlencode(params)}" if params else ""
        headers = {"Authorization": f"Bearer {KEY}"} | ({"Stripe-Version": version} if version else {})
        with urllib.request.urlopen(urllib.request.Request(self.url + path + query, headers=headers)) as answer:
            return json.load(answer)

    def control(self, path: str, told: dict[str, Any] | None = None) -> Any:
        body = None if told is None else json.dumps(told).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=body, headers=headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def all(self, path: str, params: list[tuple[str, str]] | None = None, **told: Any) -> list[dict[str, Any]]:
        """The serial loop that everybody writes."""
        objects: list[dict[str, Any]] = []
        while True:
            after = [("starting_after", objects[-1]["id"])] if objects else []
            page = self.get(path, [("limit", "100"), *(params or []), *after], **told)
            objects += page["data"]
            if not page["has_more"]:
                return objects


@pytest.fixture(scope="session")
def stripe() -> Iterator[Stripe]:
    with Sandbox() as sandbox:
        yield Stripe(sandbox.url)


@pytest.fixture
def own_stripe() -> Iterator[Stripe]:
    with Sandbox(scale=0.2) as sandbox:
        yield Stripe(sandbox.url)


@pytest.fixture
def connected(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> Stripe:
    """The environment of a person who set a key."""
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
    return stripe
