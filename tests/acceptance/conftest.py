"""Fixtures: a simulated Stripe for all tests that only read it, and a separate one for a test that controls it."""

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
    """A plain client of the sandbox: one request after another, without Counterfoil's code."""

    url: str

    def get(self, path: str, params: list[tuple[str, str]] | None = None, *, version: str | None = None) -> Any:
        query = f"?{urlencode(params)}" if params else ""
        headers = {"Authorization": f"Bearer {KEY}"} | ({"Stripe-Version": version} if version else {})
        with urllib.request.urlopen(urllib.request.Request(self.url + path + query, headers=headers)) as response:
            return json.load(response)

    def control(self, path: str, settings: dict[str, Any] | None = None) -> Any:
        body = None if settings is None else json.dumps(settings).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=body, headers=headers)
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def all(self, path: str, params: list[tuple[str, str]] | None = None, **options: Any) -> list[dict[str, Any]]:
        """Reads a list with a plain serial loop."""
        objects: list[dict[str, Any]] = []
        while True:
            after = [("starting_after", objects[-1]["id"])] if objects else []
            page = self.get(path, [("limit", "100"), *(params or []), *after], **options)
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
    """Sets the environment of a user with a key."""
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
    return stripe
