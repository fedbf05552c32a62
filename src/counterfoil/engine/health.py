"""The health of the service, and the interface of its web server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

#: The health as JSON values; `ok` is true if everything works.
Health = Mapping[str, Any]


class Front(Protocol):
    """The web server for users and monitoring. It listens once it is created, and responds between start and stop."""

    def link(self) -> str:
        """The URL to open."""
        ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


#: Creates a front that reports the health of the service.
MakeFront = Callable[[Callable[[], Health]], Front]
