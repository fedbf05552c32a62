"""Log of the sandbox's requests: counts by endpoint and status, peak concurrency, and the last requests."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Headers that are logged with their values; of other headers, only the names are logged.
_SHOWN = ("Stripe-Version", "Stripe-Account", "User-Agent", "Accept-Encoding", "Idempotency-Key", "Content-Type")


@dataclass(slots=True)
class Seen:
    method: str
    path: str
    endpoint: str
    query: str
    body: str
    headers: dict[str, str]
    has: list[str]
    status: int = 0

    def shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Requests:
    def __init__(self) -> None:
        self.reset()
        self._in_flight = 0

    def reset(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._last: deque[Seen] = deque(maxlen=10_000)
        self._peak = 0
        self._peaks: Counter[str] = Counter()
        self._now: Counter[str] = Counter()

    def enter(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Seen:
        shown = {name: headers[name] for name in _SHOWN if name in headers}
        seen = Seen(method, path, "", query, "", shown, sorted(headers))
        self._last.append(seen)
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)
        return seen

    def reached(self, seen: Seen, endpoint: str) -> None:
        seen.endpoint = endpoint
        self._now[endpoint] += 1
        self._peaks[endpoint] = max(self._peaks[endpoint], self._now[endpoint])

    def leave(self, seen: Seen, status: int) -> None:
        """`status` is 0 if the connection was cut."""
        seen.status = status
        self._in_flight -= 1
        self._now[seen.endpoint] -= 1
        self._counts[seen.endpoint, status] += 1

    def report(self, last: int) -> dict[str, Any]:
        endpoints: dict[str, dict[str, int]] = {}
        statuses: Counter[str] = Counter()
        for (endpoint, status), count in self._counts.items():
            endpoints.setdefault(endpoint, {})[str(status)] = count
            statuses[str(status)] += count
        return {
            "total": sum(self._counts.values()),
            "endpoints": endpoints,
            "statuses": dict(statuses),
            "peak_in_flight": self._peak,
            "peak_by_endpoint": dict(self._peaks),
            "last": [seen.shown() for seen in list(self._last)[-last:]] if last else [],
        }
