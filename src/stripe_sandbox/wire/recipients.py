"""`GET /v1/recipients`: retired in 2017, published until API version 2020-08-27. The response is configurable."""

from __future__ import annotations

from stripe_sandbox.company.world import World
from stripe_sandbox.objects.json import Json
from stripe_sandbox.wire.errors import StripeError, unknown_route

MODES = ("list", "404", "400", "403", "500")


def recipients(world: World, mode: str) -> list[Json]:
    """A few objects in the old shape, or the error of the mode."""
    if mode == "404":
        raise unknown_route("GET", "/v1/recipients")
    if mode == "400":
        raise StripeError(400, "Recipients are no longer supported. Please use connected accounts.")
    if mode == "403":
        raise StripeError(403, "Your account is not allowed to use recipients.")
    if mode == "500":
        raise StripeError(500, "An unknown error occurred", kind="api_error")
    return [_recipient(world, n) for n in range(14)]


def _recipient(world: World, n: int) -> Json:
    id_ = f"rp_1Sandbox{world.seed:04d}{99 - n:04d}"
    return {
        "id": id_,
        "object": "recipient",
        "active_account": None,
        "cards": {"object": "list", "data": [], "has_more": False, "url": f"/v1/recipients/{id_}/cards"},
        "created": 1388534400 + (14 - n) * 86400,
        "default_card": None,
        "description": f"Supplier {n}",
        "email": f"supplier{n}@example.com",
        "livemode": False,
        "metadata": {},
        "migrated_to": world.ids["account"].of(1 + n) if n % 2 else None,
        "name": f"Supplier {n}",
        "type": "individual" if n % 3 else "corporation",
        "verified": n % 2 == 0,
    }
