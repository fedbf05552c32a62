"""Assigns tests that share an expensive fixture to one worker, and all other tests to any worker."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).resolve().parents[1]
#: The tests in this folder share one demo.
_ONE_DEMO = "tests/e2e/"


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist's classes are not typed for it
    """Keeps files with a module fixture together, and the folder whose tests share the demo."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        if file.startswith(_ONE_DEMO):
            return _ONE_DEMO
        return file if _shares(file) else nodeid


@cache
def _shares(file: str) -> bool:
    return '@pytest.fixture(scope="module")' in (_ROOT / file).read_text(encoding="utf-8")
