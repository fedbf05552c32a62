"""Stripe's error responses (docs.stripe.com/api/errors), with the wording that clients have observed."""

from __future__ import annotations

from collections.abc import Mapping

from stripe_sandbox.objects.json import Json

_DOCS = "https://stripe.com/docs/error-codes/"


class StripeError(Exception):
    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: Json = {"message": message, "type": kind}
        if code is not None:
            self.body |= {"code": code, "doc_url": _DOCS + code.replace("_", "-")}
        if param is not None:
            self.body["param"] = param


def missing_object(kind: str, id_: str, *, param: str = "id", status: int = 404) -> StripeError:
    label = kind.replace("_", " ").replace("invoiceitem", "invoice item")
    return StripeError(status, f"No such {label}: '{id_}'", code="resource_missing", param=param)


def unknown_route(method: str, path: str) -> StripeError:
    return StripeError(
        404,
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
    )


def bad_parameter(message: str, param: str, code: str | None = None) -> StripeError:
    return StripeError(400, message, param=param, code=code)


def masked(key: str) -> str:
    """A key, masked as in Stripe's messages."""
    return f"{key[:8]}***{key[-4:]}" if len(key) > 12 else "***"


def missing_permission(key: str, permission: str, account: str) -> StripeError:
    return StripeError(
        403,
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint on account "
        f"'{account}'. Having the '{permission}' permission would allow this request to continue.",
    )


def rate_limited(reason: str) -> StripeError:
    return StripeError(
        429,
        "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers={"Stripe-Rate-Limited-Reason": reason},
    )


def lock_timeout() -> StripeError:
    return StripeError(
        429,
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it.",
        code="lock_timeout",
    )
