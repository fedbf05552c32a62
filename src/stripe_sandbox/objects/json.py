"""What an object is here, and the fragments that many share. Shared fragments are never changed in place."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

SELF: Json = {"type": "self"}
NO_TAX: Json = {"disabled_reason": None, "enabled": False, "liability": None}


def nested(url: str, objects: list[Json]) -> Json:
    """A list as it stands inside an object: its first ten entries, and where the rest is."""
    return {"object": "list", "data": objects[:10], "has_more": len(objects) > 10, "url": url}
