"""What an answer means: the object that Stripe sent, or the error it is and whether to try again. Pure.

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
#: Statuses that may be gone by the next try.
_PASSING = frozenset({408, 409, 424, 429})
#: Statuses that lead to another address, which is never followed with the key.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Parts of the sentences with which Stripe says that a product is not there for the account; observed.
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
    #: Of the body on the wire.
    bytes: int


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, as far as an error tells it."""

    address: Address
    key: Key
    path: str
    #: The `object` that the answer must be, with an id; None for any.
    object: str | None = None


def read(question: Question, reply: Reply) -> Answer | Failure:
    """The meaning of one whole HTTP answer."""
    body, wrong = _json(reply.body)
    if reply.status in _REDIRECTS:
        return _redirect(question, reply)
    if reply.status == 200:
        return _answer(question, reply, body, wrong)
    if reply.status < 400:
        return _deviation(question, reply, f"{question.address.host} answers {reply.status}, where 200 was expected.")
    said = body.get("error") if isinstance(body, dict) else None
    if not isinstance(said, dict) and reply.status < 500 and reply.status not in _PASSING:
        return _not_stripe(question, reply)
    limited = reply.headers.get("Stripe-Rate-Limited-Reason") if reply.status == 429 else None
    return Failure(
        _error(question, reply, said if isinstance(said, dict) else {}, limited),
        retry=_worth_retrying(reply),
        limited=limited,
        date=reply.date or 0,
        retry_after=reply.retry_after,
        from_api=isinstance(said, dict) or "Request-Id" in reply.headers,
    )


def _answer(question: Question, reply: Reply, body: Any, wrong: str) -> Answer | Failure:
    """What stands behind 200: the object, or what is wrong with it, which may pass; `wrong` is that of its JSON."""
    host, request_id = question.address.host, reply.headers.get("Request-Id")
    if not isinstance(body, dict) or not (request_id or "object" in body or "error" in body):
        if body is None and "json" in reply.headers.get("Content-Type", "json"):
            return _deviation(question, reply, f"{host} sent an answer that {wrong}.")
        return _deviation(question, reply, f"{host} does not answer like Stripe (200, {_content_type(reply)}).")
    if "error" in body and "object" not in body:
        # Some objects have a field of that name, but no object lacks `object`.
        said = body["error"] if isinstance(body["error"], dict) else {"message": body["error"]}
        message = _safe(str(said.get("message") or "no reason given"), question.key)
        text = f"{host} answers 200 with an error: {message}"
        return _deviation(question, reply, text, code=_text(said.get("code")), param=_text(said.get("param")))
    if not body:
        return _deviation(question, reply, f"{host} sent an empty object.")
    wanted = question.object
    if wanted is not None and not (body.get("object") == wanted and isinstance(body.get("id"), str) and body["id"]):
        return _deviation(question, reply, f"{host} sent an answer that is not the object {wanted!r} with its id.")
    date = reply.date
    if date is None or date <= 0:
        text = f"{host} sent an answer without a valid Date header, so that its time is unknown."
        hint = "Stripe always sends one: check whether a proxy on the way removes it."
        return _deviation(question, reply, text, hint=hint)
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
    """A success that is no answer. It may pass: an intermediary, or Stripe, is in trouble."""
    address = question.address
    otherwise = "Run it again later."
    if address.base != STRIPE:
        otherwise = f"Run it again later. If it stays, check the API address; Stripe's own is {STRIPE}."
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
    """The value, or what is wrong with the body."""
    try:
        return parsed(body), ""
    except IllegibleIdentifierError:
        return None, "has an identifier that is not text in UTF-8"
    except TooDeepError:
        return None, "is nested too deep"
    except ValueError:
        return None, "is not whole JSON"


def _worth_retrying(reply: Reply) -> bool:
    match reply.headers.get("Stripe-Should-Retry", "").lower():
        case "true":
            return True
        case "false":
            return False
    return reply.status in _PASSING or reply.status >= 500


def _redirect(question: Question, reply: Reply) -> Failure:
    try:
        host = urlsplit(reply.headers.get("Location", "")).hostname  # no more of it: the rest may hold a secret
    except ValueError:
        host = None
    to = f" to {host[:100]}" if host else ""
    return _not_stripe(question, reply, f"{question.address.host} answers with a redirect{to} ({reply.status}).")


def _not_stripe(question: Question, reply: Reply, text: str | None = None) -> Failure:
    """Another program answers: a wrong address, or something between us and Stripe."""
    address = question.address
    facts: dict[str, Any] = {
        "request_id": reply.headers.get("Request-Id"),
        "path": question.path,
        "status": reply.status,
    }
    text = text or f"{address.host} does not answer like Stripe ({reply.status}, {_content_type(reply)})."
    if address.base == STRIPE:
        hint = "Something on the network answers in Stripe's place: a login page of the network, a proxy, a firewall."
        return Failure(StripeUnavailable(text, hint=hint, **facts), retry=False)
    hint = f"Check the API address; Stripe's own is {STRIPE}."
    return Failure(SettingsError(text, hint=hint, **facts), retry=False)


def _content_type(reply: Reply) -> str:
    return reply.headers.get("Content-Type", "no content type").partition(";")[0][:60]


def _error(question: Question, reply: Reply, said: dict[str, Any], limited: str | None) -> CounterfoilError:
    """Stripe's refusal as one of ours, with its words, less what is secret in them."""
    status = reply.status
    message = _safe(str(said.get("message") or "no reason given"), question.key)
    facts: dict[str, Any] = {
        "request_id": reply.headers.get("Request-Id"),
        "path": question.path,
        "code": _text(said.get("code")),
        "param": _text(said.get("param")),
        "status": status,
    }
    if status == 401:
        hint = f"Look up or make a key at {_keys_page(question.key)}, and set STRIPE_API_KEY to it."
        return KeyRejected(f"Stripe does not take the key {question.key!r}: {message}", hint=hint, **facts)
    if any(sentence in message for sentence in _NOT_FOR_THIS_ACCOUNT):
        text = f"This table cannot be read on this account: {message}"
        return AccountError(text, hint="Leave the report out, or ask Stripe to turn the product on.", **facts)
    if status == 403:
        return _permission_missing(question, message, facts)
    if status == 429:
        why = limited or facts["code"] or "no reason given"
        hint = "Run it again later, or lower COUNTERFOIL_RATE_SHARE: others use the account's limits too."
        return RateLimited(f"Stripe still answers 429 ({why}).", hint=hint, **facts)
    if status >= 500 or status in _PASSING:
        hint = "Run it again later; https://status.stripe.com tells of incidents."
        return StripeUnavailable(f"Stripe answers {status}: {message}", hint=hint, **facts)
    return RunError(f"Stripe refuses the request ({status}): {message}", hint=_refusal_hint(status), **facts)


def _permission_missing(question: Question, message: str, facts: dict[str, Any]) -> PermissionMissing:
    found = _PERMISSION.search(message)
    permission = found.group() if found else None
    page, wanted = _keys_page(question.key), permission or "to read this"
    hint = f"Edit the key at {page} and give it the permission {wanted}, or use another key."
    account = _ACCOUNT.search(message)
    where = f"this of account {account.group()}" if account else "this"
    facts.pop("param")
    return PermissionMissing(
        f"The key {question.key!r} may not read {where}; it lacks {permission}."
        if permission
        else f"The key {question.key!r} may not read {where}: {message}",
        permission=permission,
        hint=hint,
        **facts,
    )


def _keys_page(key: Key) -> str:
    return "https://dashboard.stripe.com/" + ("apikeys" if key.live else "test/apikeys")


def _refusal_hint(status: int) -> str:
    if status == 404:
        return "Check that the object is in this account and mode: live and test data are apart."
    return "Look the request up by its id at https://dashboard.stripe.com/logs."


def _text(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None


def _safe(text: str, key: Key) -> str:
    text = redacted(text.replace(key.secret, repr(key)))
    return _CARD.sub("…", _EMAIL.sub("…@…", text))[:500]
