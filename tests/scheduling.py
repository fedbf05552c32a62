"""Which tests go to one worker: those that share what is dear to set up. All others go wherever there is room."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_ROOT = Path(__file__).resolve().parents[1]
#: One demo serves them all.
_ONE_DEMO = "tests/e2e/"


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist's classes are not typed for it
    """Files with a fixture of their own for the whole module stay whole, and so does the folder with the demo."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        if file.startswith(_ONE_DEMO):
            return _ONE_DEMO
        return file if _shares(file) else nodeid


@cache
def _shares(file: str) -> bool:
    return '@pytest.fixture(scope="module")' in (_ROOT / file).read_text(encoding="utf-8")
