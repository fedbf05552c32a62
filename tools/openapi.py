"""Writes docs/openapi.json, the document of the REST API; with --check says whether it is current."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from counterfoil.app.app import open_app
from counterfoil.settings import Settings
from counterfoil.web.api.document import document
from counterfoil.web.api.routes import api

FILE = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"


def written() -> str:
    """As the file holds it."""
    with tempfile.TemporaryDirectory() as home, open_app(Settings(home=Path(home), state_url=None)) as app:
        return json.dumps(document(api(app).routes), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Exit code 1 for a file that is not current."""
    text = written()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        print("docs/openapi.json is not current: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
