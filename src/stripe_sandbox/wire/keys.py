"""Accepted API keys and their permissions."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from stripe_sandbox.wire.errors import StripeError, masked, missing_permission

#: Every key with this prefix has all permissions.
DEMO = "sk_test_demo"


@dataclass(frozen=True, slots=True)
class Access:
    """`permissions` is None for all; `refused` is the error code of a rejected key, which may be empty."""

    permissions: frozenset[str] | None = None
    refused: str | None = None


class Keys:
    def __init__(self) -> None:
        self._known: dict[str, Access] = {}

    def set(self, key: str, access: Access) -> None:
        self._known[key] = access

    def clear(self) -> None:
        self._known.clear()

    def check(self, headers: Mapping[str, str]) -> tuple[str, Access]:
        """The key of a request and its access; raises 401 if the key is missing or rejected."""
        key = _key(headers.get("Authorization", ""))
        if not key:
            raise StripeError(
                401,
                "You did not provide an API key. Provide your API key in the Authorization header, using Bearer auth "
                "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            )
        if key.startswith("pk_"):
            raise StripeError(
                401,
                "This API call cannot be made with a publishable API key. Please use a secret API key.",
                code="secret_key_required",
            )
        access = self._known.get(key)
        if access is None and key.startswith(DEMO):
            access = Access()
        if access is None:
            raise StripeError(401, f"Invalid API Key provided: {masked(key)}")
        if access.refused is not None:
            message = "Expired API Key provided" if access.refused == "api_key_expired" else "Invalid API Key provided"
            raise StripeError(401, f"{message}: {masked(key)}", code=access.refused or None)
        return key, access


def require(key: str, access: Access, permission: str, account: str) -> None:
    """Raises 403 if a restricted key lacks the permission; write implies read."""
    held = access.permissions
    if held is None or permission in held:
        return
    if permission.endswith("_read") and permission.removesuffix("_read") + "_write" in held:
        return
    raise missing_permission(key, permission, account)


def _key(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip()).decode().partition(":")[0]
        except ValueError:
            return ""
    return ""
