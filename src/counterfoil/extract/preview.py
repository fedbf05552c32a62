"""Reads upcoming invoices: one preview for each object that will be invoiced."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from counterfoil.errors import RunError
from counterfoil.extract.embedded import complete
from counterfoil.extract.listing import Params, is_hidden, read_listing
from counterfoil.extract.resume import ResumeState
from counterfoil.extract.streams import gather, merge_streams
from counterfoil.extract.validation import Deviation, ask, check_object, invalid
from counterfoil.extract.warnings import Warnings
from counterfoil.reports.report import Preview, Previewed
from counterfoil.stripe.client import Client
from counterfoil.stripe.responses import Answer
from counterfoil.values import Page, StripeObject, Window


async def read_preview(
    client: Client, source: Preview, *, notices: Warnings, earlier: ResumeState, params: Params | None = None
) -> AsyncGenerator[Page, None]:
    """A page of previews for each page of previewed objects; `params` filter these objects."""
    streams = [_previews(client, source, previewed, notices, earlier, params) for previewed in source.previewed]
    async with aclosing(merge_streams(streams)) as pages:
        async for page in pages:
            yield page


async def _previews(
    client: Client,
    source: Preview,
    previewed: Previewed,
    notices: Warnings,
    earlier: ResumeState,
    params: Params | None,
) -> AsyncGenerator[Page, None]:
    resumed = earlier.resumed(previewed.listing.path)
    listed = read_listing(client, previewed.listing, Window(), notices=notices, params=params, resumed=resumed)
    async with aclosing(listed) as pages:
        async for page in pages:
            live = [
                one
                for one in page.objects
                if one.get("status") in previewed.statuses
                and (str(one["id"]),) not in earlier.keys
                and not is_hidden(previewed.listing, one)
            ]
            # The limiter bounds the requests in flight; the page size of 100 bounds the waiting ones.
            asked = [_preview(client, source, previewed.param, one, notices) for one in live]
            found = await gather(asked)
            failed = [one for one in found if isinstance(one, RunError)]
            # If some fail, the objects may be the cause; if all fail, it is the account.
            if failed and len(failed) == len(found) and not params:
                raise failed[0]
            for one, error in zip(live, found, strict=True):
                if isinstance(error, RunError):
                    notices.add(f"Stripe refused a preview of these: {error.message}", of=str(one["id"]))
            yield replace(page, objects=[one for one in found if isinstance(one, dict)])


async def _preview(
    client: Client, source: Preview, param: str, previewed: StripeObject, notices: Warnings
) -> StripeObject | RunError | None:
    """The row; None if there is no upcoming invoice; the error if Stripe refuses this preview."""
    identifier = str(previewed["id"])

    async def post() -> Answer:
        return await client.post(source.path, {param: identifier})

    def check(body: Mapping[str, Any]) -> Deviation | None:
        found = check_object(body, object=source.object) or _foreign(body, previewed, param)
        if found is None and body.get("id") is None:
            return Deviation("no_identifier", "it has no identifier")
        return found

    async def previewed_invoice() -> StripeObject:
        request = f"{source.path}?{param}={identifier}"
        answer, deviation = await ask(post, check, request=request)
        if deviation is not None and not _may_be_true(deviation, answer.body):
            raise invalid(request, deviation, request_id=answer.request_id)
        return answer.body

    async def read_again(_: str) -> StripeObject:
        again = await previewed_invoice()
        # A row is one response: its lines and its amounts belong together.
        invoice.clear()
        invoice.update(again)
        return again

    try:
        invoice = await previewed_invoice()
        await complete(
            client, [invoice], source.lists, expand=(), notices=notices, read_again=read_again, optional=True
        )
    except RunError as error:
        return None if error.code in source.none else error
    return {**invoice, source.key: identifier}


def _may_be_true(deviation: Deviation, body: Mapping[str, Any]) -> bool:
    """Whether valid responses can have the deviation: an upcoming invoice does not need an identifier."""
    return deviation.code == "unconfirmed_subscription" or (
        deviation.code == "no_identifier" and body.get("id") is None
    )


def _subscription_of(body: Mapping[str, Any]) -> str | None:
    parent = body.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    found = details.get("subscription") if isinstance(details, dict) else None
    return found if isinstance(found, str) else None


def _foreign(body: Mapping[str, Any], previewed: StripeObject, param: str) -> Deviation | None:
    """The deviation of a preview for another customer or subscription than requested; otherwise None."""
    found, wanted = body.get("customer"), previewed.get("customer")
    if isinstance(found, str) and isinstance(wanted, str) and found != wanted:
        return Deviation("outside_filter", f"its customer is {found}, not {wanted}", frozenset({found}))
    named = _subscription_of(body)
    sent = previewed["id"] if param == "subscription" else previewed.get("subscription")
    if isinstance(named, str) and isinstance(sent, str) and named != sent:
        return Deviation("outside_filter", f"its subscription is {named}, not {sent}", frozenset({named}))
    if named != sent:
        detail = f"its subscription is {named}, but {sent} was requested" if named else "it has no subscription"
        return Deviation("unconfirmed_subscription", detail, frozenset({str(named)}))
    return None
