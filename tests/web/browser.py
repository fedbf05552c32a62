"""A browser without a screen or a network: it calls the application in this process, and stores cookies."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote, urlencode, urljoin

HOST = "127.0.0.1:8321"
#: Headers of Chromium for a typed URL, and for a followed link or a submitted form of the page.
TYPED = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}
FOLLOWED = TYPED | {"sec-fetch-site": "same-origin"}


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def __getitem__(self, name: str) -> str:
        """A header; KeyError if it is missing."""
        return dict(self.headers)[name]

    def get(self, name: str) -> str | None:
        return dict(self.headers).get(name)


@dataclass
class Browser:
    page: Any
    host: str = HOST
    address: str = "127.0.0.1"
    cookies: dict[str, str] = field(default_factory=dict)
    #: The `Set-Cookie` headers of the last response.
    set_cookie: list[str] = field(default_factory=list)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.ask("GET", path, headers=TYPED if headers is None else headers)

    def post(self, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Answer:
        body = urlencode(form or {}).encode()
        return self.ask("POST", path, body=body, headers=FOLLOWED if headers is None else headers)

    def follow(self, answer: Answer, path: str = "/") -> Answer:
        return self.get(urljoin(path, answer["location"]), headers=FOLLOWED)

    def ask(self, method: str, path: str, *, headers: dict[str, str], body: bytes = b"", pieces: int = 1) -> Answer:
        sent = {"host": self.host} | headers
        if body:
            sent = {"content-type": "application/x-www-form-urlencoded"} | sent
            if pieces == 1:
                sent = {"content-length": str(len(body))} | sent
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(route),
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
            "client": (self.address, 50000),
            "server": ("127.0.0.1", 8321),
        }
        answer = asyncio.run(asyncio.wait_for(asked(self.page, scope, body, pieces), 30))
        self._keep([value for name, value in answer.headers if name == "set-cookie"])
        return answer

    def _keep(self, given: list[str]) -> None:
        self.set_cookie = given
        for one in given:
            for name, morsel in SimpleCookie(one).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


async def asked(page: Any, scope: dict[str, Any], body: bytes, pieces: int) -> Answer:
    size = max(1, -(-len(body) // pieces))
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    sent: list[dict[str, Any]] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not parts:
            await gone.wait()
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await page(scope, receive, send)
    start = next(one for one in sent if one["type"] == "http.response.start")
    headers = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(start["status"], headers, b"".join(one.get("body", b"") for one in sent))
