"""Writes docs/openapi.json, the OpenAPI document of the REST API; --check only checks whether it is up to date."""

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
    """The text of the file."""
    with tempfile.TemporaryDirectory() as home, open_app(Settings(home=Path(home), state_url=None)) as app:
        return json.dumps(document(api(app).routes), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Returns 1 if --check finds an outdated file."""
    text = written()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        print("docs/openapi.json is out of date. Run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
