"""Integrations with other tools: one module per tool, built on the public API of `counterfoil`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from counterfoil import errors


@contextmanager
def engine(package: str, *, extra: str) -> Iterator[None]:
    """Wraps the imports of a tool. If the tool is missing, the error explains how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f"counterfoil.integrations.{extra} requires {package}: pip install 'counterfoil[{extra}]'", name=error.name
        ) from error


def is_transient(kind: str | None) -> bool:
    """Whether a run's error is transient, by the name of its class."""
    found = getattr(errors, kind or "", None)
    return isinstance(found, type) and issubclass(found, errors.TransientError)
