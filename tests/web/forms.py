"""Forms of a page as a browser submits them, and the errors shown in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlencode

from tests.web.browser import FOLLOWED, Answer, Browser

Pairs = list[tuple[str, str]]


@dataclass
class Form:
    """One form."""

    action: str
    pairs: Pairs = field(default_factory=list)
    #: The visible fields.
    shown: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> str:
        return dict(self.pairs)[name]

    def filled(self, changes: dict[str, str | Sequence[str]]) -> Pairs:
        """The pairs with changed values; a list selects any number of values."""
        kept = [(name, value) for name, value in self.pairs if name not in changes]
        for name, value in changes.items():
            kept += [(name, value)] if isinstance(value, str) else [(name, one) for one in value]
        return kept

    def send(self, browser: Browser, **changes: str | Sequence[str]) -> Answer:
        """Submits the form with changed fields."""
        return send(browser, self.action, self.filled(changes))


def send(browser: Browser, path: str, pairs: Pairs, **headers: str) -> Answer:
    return browser.ask("POST", path, headers=FOLLOWED | headers, body=urlencode(pairs).encode())


def form_of(text: str, action: str) -> Form:
    """The form of the page that is submitted to `action`."""
    reader = _Reader(action)
    reader.feed(text)
    assert reader.found is not None, f"no form with the action {action}"
    return reader.found


def errors(answer: Answer) -> str:
    """The errors of fields on the page: messages and hints."""
    found = re.findall(r'<p class="field-error.*?</p>', answer.text, re.DOTALL)
    return unescape(" ".join(re.sub("<[^>]*>", " ", one) for one in found))


def codes(answer: Answer) -> list[str]:
    """The codes of the errors on the page."""
    return re.findall(r'data-code="(\w+)"', answer.text)


class _Reader(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self._action = action
        self.found: Form | None = None
        self._inside = False
        self._select: str | None = None
        self._first: str | None = None
        self._text: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and given.get("action") == self._action and self.found is None:
            self.found, self._inside = Form(self._action), True
        if not self._inside or self.found is None:
            return
        name = given.get("name") or ""
        if tag == "input" and name:
            self._input(name, given)
        elif tag == "select":
            self._select, self._first = name, None
            self.found.shown.add(name)
        elif tag == "option" and self._select is not None:
            value = given.get("value") or ""
            self._first = value if self._first is None else self._first
            if "selected" in given:
                self.found.pairs.append((self._select, value))
                self._select = None
        elif tag == "textarea":
            self._text = name
            self.found.pairs.append((name, ""))

    def handle_data(self, data: str) -> None:
        if self._text is not None and self.found is not None:
            self.found.pairs[-1] = (self._text, data.removeprefix("\n"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select" and self._select is not None and self.found is not None:
            self.found.pairs.append((self._select, self._first or ""))
            self._select = None
        elif tag == "textarea":
            self._text = None

    def _input(self, name: str, given: dict[str, str | None]) -> None:
        assert self.found is not None
        kind = given.get("type") or "text"
        if kind != "hidden":
            self.found.shown.add(name)
        if kind not in ("radio", "checkbox") or "checked" in given:
            self.found.pairs.append((name, given.get("value") or ""))
