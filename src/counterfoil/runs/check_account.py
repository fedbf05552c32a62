"""Tests a key: its Stripe account, test or live mode, and the reports that it can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from counterfoil.errors import AccountError, KeyRejected, PermissionMissing, RunError
from counterfoil.extract.streams import gather
from counterfoil.http.async_bridge import run as wait_for
from counterfoil.reports.catalogue import REPORTS
from counterfoil.reports.report import Collected, Listing, Preview, Report, Singleton, Source, Union
from counterfoil.state.accounts import Checked
from counterfoil.stripe.client import PREVIEW_PATH, AccountIdentity, Client

#: Used instead of a permission if the account lacks the product: no permission would help.
NOT_THERE = "not available to this account"
#: An id that no object has: the response is 403 without the permission, and 404 with it.
_NOBODYS = "sub_counterfoilprobe"


@dataclass(frozen=True, slots=True)
class _Probe:
    """The smallest request that shows whether the key can read a path."""

    path: str
    params: tuple[tuple[str, str | int], ...] = ()
    version: str | None = None
    #: Statuses that the report treats as an empty list.
    harmless: frozenset[int] = frozenset()

    async def ask(self, client: Client) -> AccountError | None:
        """The error that denies access, None for access. Raises KeyRejected, and TransientError for an outage."""
        try:
            if self.path == PREVIEW_PATH:
                await client.post(self.path, dict(self.params))
            else:
                await client.get(self.path, dict(self.params), version=self.version)
        except KeyRejected:
            raise
        except AccountError as error:
            return None if error.status in self.harmless else error
        except RunError:
            pass  # Stripe rejected the request, not the key
        return None


def check_account(client: Client, *, at: datetime) -> Checked:
    """The result of the test; raises if Stripe rejects the key or is unavailable.

    A restricted key is tested with one request for one row of each path that the reports read, in parallel. An
    unrestricted key can read everything.
    """
    return wait_for(_checked(client, at))


async def _checked(client: Client, at: datetime) -> Checked:
    identity: AccountIdentity = await client.account()
    missing = await _missing(client) if client.restricted else {}
    return Checked(
        at=at,
        livemode=identity.livemode,
        stripe_id=identity.id,
        display_name=identity.name,
        readable=tuple(report.key for report in REPORTS if report.key not in missing),
        missing=missing,
    )


async def _missing(client: Client) -> dict[str, str]:
    wanted = {report.key: tuple(_probes(report.source)) for report in REPORTS}
    probes = list(dict.fromkeys(probe for each in wanted.values() for probe in each))
    refusals = dict(zip(probes, await gather([probe.ask(client) for probe in probes]), strict=True))
    return dict(_lacking(wanted, refusals))


def _lacking(
    wanted: Mapping[str, tuple[_Probe, ...]], refusals: Mapping[_Probe, AccountError | None]
) -> Iterator[tuple[str, str]]:
    for report in REPORTS:
        errors = [error for probe in wanted[report.key] if (error := refusals[probe]) is not None]
        if errors:
            yield report.key, ", ".join(dict.fromkeys(_permission(report, error) for error in errors))


def _permission(report: Report, error: AccountError) -> str:
    if not isinstance(error, PermissionMissing):
        return NOT_THERE
    return error.permission or ", ".join(report.permissions) or "a permission that Stripe does not name"


def _probes(source: Source) -> Iterator[_Probe]:
    match source:
        case Listing():
            yield _listing(source)
        case Singleton():
            yield _Probe(source.path)
        case Union():
            yield from map(_listing, source.listings.values())
        case Collected():
            yield from (_listing(place.listing) for place in source.places)
        case Preview():
            yield from (_listing(previewed.listing) for previewed in source.previewed)
            yield _Probe(source.path, (("subscription", _NOBODYS),))


def _listing(listing: Listing) -> _Probe:
    return _Probe(listing.path, (("limit", 1),), listing.api_version, listing.retired)
