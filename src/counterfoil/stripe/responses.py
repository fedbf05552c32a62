"""Interprets responses: the object, or the error and whether to retry. Pure functions.

Statuses and codes: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-codes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from counterfoil.errors import (
    AccountError,
    CounterfoilError,
    KeyRejected,
    PermissionMissing,
    RateLimited,
    RunError,
    SettingsError,
    StripeUnavailable,
)
from counterfoil.http.address import Address
from counterfoil.http.transport import Failure, Reply
from counterfoil.logging import redacted
from counterfoil.stripe.address import STRIPE
from counterfoil.stripe.json_body import IllegibleIdentifierError, TooDeepError, parsed
from counterfoil.stripe.key import Key

_EMAIL = re.compile(r"[^\s@'\"<>()]+@[^\s@'\"<>()]+\.[^\W\d_]{2,}")
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?!\w)")
_ACCOUNT = re.compile(r"\bacct_[A-Za-z0-9]+")
_PERMISSION = re.compile(r"\brak_[a-z0-9_]+")
#: Statuses of transient errors below 500.
_PASSING = frozenset({408, 409, 424, 429})
#: Redirects, which are never followed because the key would be sent to another address.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Parts of Stripe's messages about a product that is unavailable for the account, as observed.
_NOT_FOR_THIS_ACCOUNT = (
    "Your account is not authorized to send Forwarding requests in livemode",
    "This endpoint is only available in testmode",
    "Have you onboarded to Treasury",
    "Unrecognized request URL (GET: /v1/treasury/financial_accounts)",
    "Accounts v2 is not enabled for your platform",
    "Your account is not set up to use Issuing",
    "Your account is not set up to use Identity",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object from Stripe."""

    body: dict[str, Any]
    #: The `Date` header, in Unix seconds: Stripe's clock.
    date: int
    request_id: str | None
    #: Size of the body as transferred.
    bytes: int


@dataclass(frozen=True, slots=True)
class Question:
    """The request, as far as errors mention it."""

    address: Address
    key: Key
    path: str
    #: The `object` that the response must be, with an id; None for any.
    object: str | None = None


def read(question: Question, reply: Reply) -> Answer | Failure:
    """The object or the error in one complete HTTP response."""
    body, wrong = _json(reply.body)
    if reply.status in _REDIRECTS:
        return _redirect(question, reply)
    if reply.status == 200:
        return _answer(question, reply, body, wrong)
    if reply.status < 400:
        text = f"{question.address.host} answered {reply.status} instead of 200"
        return _deviation(question, reply, text, code="unexpected_status")
    api_error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(api_error, dict) and reply.status < 500 and reply.status not in _PASSING:
        return _not_stripe(question, reply)
    limited = reply.headers.get("Stripe-Rate-Limited-Reason") if reply.status == 429 else None
    return Failure(
        _error(question, reply, api_error if isinstance(api_error, dict) else {}, limited),
        retry=_worth_retrying(reply),
        limited=limited,
        date=reply.date or 0,
        retry_after=reply.retry_after,
        from_api=isinstance(api_error, dict) or "Request-Id" in reply.headers,
    )


def _answer(question: Question, reply: Reply, body: Any, wrong: str) -> Answer | Failure:
    """The object of a response with status 200, or a transient error; `wrong` is the problem of its JSON."""
    host, request_id = question.address.host, reply.headers.get("Request-Id")
    if not isinstance(body, dict) or not (request_id or "object" in body or "error" in body):
        if body is None and "json" in reply.headers.get("Content-Type", "json"):
            return _deviation(question, reply, f"{host} sent a response that {wrong}", code="invalid_body")
        text = f"{host} does not answer like the Stripe API (200, {_content_type(reply)})"
        return _deviation(question, reply, text, code="not_stripe")
    if "error" in body and "object" not in body:
        # Some objects have a field `error`, but every object has a field `object`.
        api_error = body["error"] if isinstance(body["error"], dict) else {"message": body["error"]}
        message = _safe(str(api_error.get("message") or "no reason given"), question.key)
        text = f"{host} answered 200 with an error: {message}"
        return _deviation(question, reply, text, code=_text(api_error.get("code")), param=_text(api_error.get("param")))
    if not body:
        return _deviation(question, reply, f"{host} sent an empty object", code="empty_object")
    wanted = question.object
    if wanted is not None and not (body.get("object") == wanted and isinstance(body.get("id"), str) and body["id"]):
        text = f"{host} sent a response that is not the object {wanted!r} with an id"
        return _deviation(question, reply, text, code="wrong_object")
    date = reply.date
    if date is None or date <= 0:
        text = f"{host} sent a response without a valid Date header"
        hint = "Check whether a proxy removes the header: Stripe always sends it."
        return _deviation(question, reply, text, hint=hint, code="missing_date")
    return Answer(body, date, request_id, reply.wire_bytes)


def _deviation(
    question: Question,
    reply: Reply,
    text: str,
    *,
    hint: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> Failure:
    """A successful status without a usable response: a transient error of Stripe or of an intermediary."""
    address = question.address
    otherwise = "Run it again later."
    if address.base != STRIPE:
        otherwise = f"Run it again later; if the error remains, check the API address (Stripe's is {STRIPE})."
    error = StripeUnavailable(
        text,
        hint=hint or otherwise,
        request_id=reply.headers.get("Request-Id"),
        path=question.path,
        status=reply.status,
        code=code,
        param=param,
    )
    return Failure(error, retry=True, retry_after=reply.retry_after, from_api="Request-Id" in reply.headers)


def _json(body: bytes) -> tuple[Any, str]:
    """The value and an empty string, or None and the problem of the body."""
    try:
        return parsed(body), ""
    except IllegibleIdentifierError:
        return None, "contains an identifier that is not valid UTF-8"
    except TooDeepError:
        return None, "is nested too deeply"
    except ValueError:
        return None, "is not complete JSON"


def _worth_retrying(reply: Reply) -> bool:
    match reply.headers.get("Stripe-Should-Retry", "").lower():
        case "true":
            return True
        case "false":
            return False
    return reply.status in _PASSING or reply.status >= 500


def _redirect(question: Question, reply: Reply) -> Failure:
    try:
        host = urlsplit(reply.headers.get("Location", "")).hostname  # only the host: the rest may contain a secret
    except ValueError:
        host = None
    to = f" to {host[:100]}" if host else ""
    text = f"{question.address.host} answered with a redirect{to} ({reply.status})"
    return _not_stripe(question, reply, text, code="redirected")


def _not_stripe(question: Question, reply: Reply, text: str | None = None, *, code: str = "not_stripe") -> Failure:
    """Another program answered: the address is wrong, or an intermediary answered instead of Stripe."""
    address = question.address
    facts: dict[str, Any] = {
        "request_id": reply.headers.get("Request-Id"),
        "path": question.path,
        "status": reply.status,
        "code": code,
    }
    text = text or f"{address.host} does not answer like the Stripe API ({reply.status}, {_content_type(reply)})"
    if address.base == STRIPE:
        hint = "Check whether a login page of the network, a proxy or a firewall answers instead of Stripe."
        return Failure(StripeUnavailable(text, hint=hint, **facts), retry=False)
    hint = f"Check the API address; Stripe's is {STRIPE}"
    return Failure(SettingsError(text, hint=hint, **facts), retry=False)


def _content_type(reply: Reply) -> str:
    return reply.headers.get("Content-Type", "no content type").partition(";")[0][:60]


def _error(question: Question, reply: Reply, api_error: dict[str, Any], limited: str | None) -> CounterfoilError:
    """Stripe's error as one of our exceptions, with its message without secrets."""
    status = reply.status
    message = _safe(str(api_error.get("message") or "no reason given"), question.key)
    facts: dict[str, Any] = {
        "request_id": reply.headers.get("Request-Id"),
        "path": question.path,
        "code": _text(api_error.get("code")),
        "param": _text(api_error.get("param")),
        "status": status,
    }
    if status == 401:
        hint = f"Find or create a key at {_keys_page(question.key)}, and set STRIPE_API_KEY to it."
        return KeyRejected(f"Stripe rejected the key {question.key!r}: {message}", hint=hint, **facts)
    if any(sentence in message for sentence in _NOT_FOR_THIS_ACCOUNT):
        text = f"the report is not available for this account: {message}"
        return AccountError(text, hint="Skip the report, or ask Stripe to enable the product.", **facts)
    if status == 403:
        return _permission_missing(question, message, facts)
    if status == 429:
        why = limited or facts["code"] or "no reason given"
        hint = "Run it again later, or reduce COUNTERFOIL_RATE_SHARE: other programs may use the account's limits too."
        return RateLimited(f"Stripe still answers 429 ({why})", hint=hint, **facts)
    if status >= 500 or status in _PASSING:
        hint = "Run it again later, and check for incidents at https://status.stripe.com"
        return StripeUnavailable(f"Stripe answered {status}: {message}", hint=hint, **facts)
    return RunError(f"Stripe refused the request ({status}): {message}", hint=_refusal_hint(status), **facts)


def _permission_missing(question: Question, message: str, facts: dict[str, Any]) -> PermissionMissing:
    found = _PERMISSION.search(message)
    permission = found.group() if found else None
    page, wanted = _keys_page(question.key), permission or "to read this"
    hint = f"Edit the key at {page} and add the permission {wanted}, or use another key."
    account = _ACCOUNT.search(message)
    where = f" for account {account.group()}" if account else ""
    facts.pop("param")
    return PermissionMissing(
        f"the key {question.key!r} lacks the permission {permission}{where}"
        if permission
        else f"the key {question.key!r} lacks a permission{where}: {message}",
        permission=permission,
        hint=hint,
        **facts,
    )


def _keys_page(key: Key) -> str:
    return "https://dashboard.stripe.com/" + ("apikeys" if key.live else "test/apikeys")


def _refusal_hint(status: int) -> str:
    if status == 404:
        return "Check that the object is in this account and mode: live and test data are separate."
    return "Find the request by its id at https://dashboard.stripe.com/logs"


def _text(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None


def _safe(text: str, key: Key) -> str:
    text = redacted(text.replace(key.secret, repr(key)))
    return _CARD.sub("…", _EMAIL.sub("…@…", text))[:500]
