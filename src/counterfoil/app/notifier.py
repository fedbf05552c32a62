"""Sending notices, through Apprise: it knows some hundred services by the addresses that it gives them."""

from __future__ import annotations

import logging
import threading
import warnings
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from counterfoil.errors import SettingsError, TransientError
from counterfoil.logging import get_logger, redacted
from counterfoil.state.alerts import Alerts

if TYPE_CHECKING:
    from types import ModuleType

_log = get_logger("counterfoil.alerts")
_FORM = "Give an address of Apprise's, such as mailto://user:password@host or slack://…: see docs/alerts.md."
#: Whose addresses end in a path of somebody's own, which may hold a secret.
_OF_ONES_OWN = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})


class Sender:
    """Sends what is due, in a thread of its own, so that nobody waits for a slow service."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._thread: threading.Thread | None = None

    def now_and_then(self, now: datetime) -> None:
        """Begins when something is due and nothing is being sent."""
        at = self._alerts.next_try_at()
        if at is None or at > now or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self.send_due, name="alerts", daemon=True)
        self._thread.start()

    def send_due(self) -> int:
        """Sends what is due; how many arrived."""
        arrived = 0
        for notice in self._alerts.claim():
            try:
                send(notice.url, notice.title, notice.body)
            except (TransientError, SettingsError) as error:
                again = self._alerts.not_sent(notice, error.message)
                _log.warning("an alert did not arrive", alert=notice.alert, error=error.message, again=str(again))
            else:
                self._alerts.sent(notice)
                arrived += 1
        return arrived


def address(url: str) -> str:
    """How an address is shown, with nothing secret in it; SettingsError when it is none."""
    found = _place(url)
    told = str(found.url(privacy=True)).partition("?")[0]
    if told.partition("://")[0] in _OF_ONES_OWN:
        told = "/".join([*told.split("/")[:3], "…"])
    return redacted(told)


def send(url: str, title: str, body: str) -> None:
    """Sends one notice; TransientError with the service's own words when it did not arrive."""
    apprise, place = _apprise(), _place(url)
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
        arrived = place.notify(title=title, body=body)
        words = said.getvalue().strip().splitlines()
    if not arrived:
        # What it says may repeat a part of the address.
        reason = words[-1] if words else "The service did not take it."
        raise TransientError(redacted(reason).rstrip("."), hint="Look whether the address is still right.")


def _place(url: str) -> Any:
    found = _apprise().Apprise.instantiate(url.strip())
    if found is None:
        # Never repeated: it holds a password or a token.
        raise SettingsError("That is no address that can be told of anything", hint=_FORM)
    return found


@cache
def _apprise() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # Python's own, of modules that Apprise still looks for.
            warnings.simplefilter("ignore")
            import apprise

            apprise.Apprise.instantiate("json://localhost")  # it loads its services at the first address
    except ModuleNotFoundError as error:
        raise SettingsError(
            "Alerts need the package apprise", hint="pip install 'counterfoil[alerts]', and start the service again."
        ) from error
    # They would tell the log what they do, addresses included.
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return apprise
