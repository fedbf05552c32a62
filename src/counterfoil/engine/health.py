"""How the service fares, and what stands before it and tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

#: What is well, as JSON can hold it; `ok` says whether all is.
Health = Mapping[str, Any]


class Front(Protocol):
    """What people and watchers reach: the page. It listens once it is made, and answers between start and stop."""

    def link(self) -> str:
        """The address to be opened."""
        ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


#: Makes a front that asks the service how it fares.
MakeFront = Callable[[Callable[[], Health]], Front]
