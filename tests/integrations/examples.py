"""The examples of `docs/integrations.md`, run against a simulated Stripe."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"


def examples(heading: str) -> list[str]:
    """The Python blocks of a section."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def changed(code: str, before: str, after: str) -> str:
    """The code with `before` replaced by `after`. `before` must occur in it."""
    assert before in code
    return code.replace(before, after)
