"""Counterfoil as a source for other engines: one module each, over the public names of `counterfoil`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from counterfoil import errors


@contextmanager
def engine(package: str, *, extra: str) -> Iterator[None]:
    """Around the imports from an engine: where it is missing, the error says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ModuleNotFoundError(
            f"counterfoil.integrations.{extra} needs {package}: pip install 'counterfoil[{extra}]'", name=error.name
        ) from error


def may_pass(kind: str | None) -> bool:
    """Whether an error that a run tells, by the name of its class, may pass by itself."""
    found = getattr(errors, kind or "", None)
    return isinstance(found, type) and issubclass(found, errors.TransientError)
