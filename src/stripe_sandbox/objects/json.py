"""The JSON type, and fragments that many objects share. Never change shared fragments in place."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

SELF: Json = {"type": "self"}
NO_TAX: Json = {"disabled_reason": None, "enabled": False, "liability": None}


def nested(url: str, objects: list[Json]) -> Json:
    """An embedded list: its first ten entries, and the URL of the whole list."""
    return {"object": "list", "data": objects[:10], "has_more": len(objects) > 10, "url": url}
