"""Sending of notifications through Apprise, which supports about a hundred services by URL."""

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
_FORM = "Use an Apprise URL, such as mailto://user:password@host. See: counterfoil docs alerts"
#: Schemes with a user-defined path, which may contain a secret.
_OF_ONES_OWN = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})


class Sender:
    """Sends due notifications in a background thread, so that a slow service blocks nothing."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._thread: threading.Thread | None = None

    def now_and_then(self, now: datetime) -> None:
        """Starts sending if a notification is due and no thread is sending."""
        at = self._alerts.next_try_at()
        if at is None or at > now or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self.send_due, name="alerts", daemon=True)
        self._thread.start()

    def send_due(self) -> int:
        """Sends due notifications; returns how many were delivered."""
        arrived = 0
        for notice in self._alerts.claim():
            try:
                send(notice.url, notice.title, notice.body)
            except (TransientError, SettingsError) as error:
                again = self._alerts.not_sent(notice, error.message)
                _log.warning("alert not delivered", alert=notice.alert, error=error.message, again=str(again))
            else:
                self._alerts.sent(notice)
                arrived += 1
        return arrived


def address(url: str) -> str:
    """The URL without secrets, for display; SettingsError if it is invalid."""
    found = _place(url)
    shown = str(found.url(privacy=True)).partition("?")[0]
    if shown.partition("://")[0] in _OF_ONES_OWN:
        shown = "/".join([*shown.split("/")[:3], "…"])
    return redacted(shown)


def send(url: str, title: str, body: str) -> None:
    """Sends one notification; TransientError with the service's message if it was not delivered."""
    apprise, place = _apprise(), _place(url)
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:
        arrived = place.notify(title=title, body=body)
        lines = log.getvalue().strip().splitlines()
    if not arrived:
        # The message may repeat a part of the URL.
        reason = lines[-1] if lines else "the service rejected it"
        raise TransientError(redacted(reason).rstrip("."), hint="Check that the URL is still valid.")


def _place(url: str) -> Any:
    found = _apprise().Apprise.instantiate(url.strip())
    if found is None:
        # The URL is not in the message: it contains a password or a token.
        raise SettingsError("invalid alert URL", hint=_FORM)
    return found


@cache
def _apprise() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # Deprecation warnings of Python for modules that Apprise imports.
            warnings.simplefilter("ignore")
            import apprise

            apprise.Apprise.instantiate("json://localhost")  # loads the services, which happens at the first URL
    except ModuleNotFoundError as error:
        raise SettingsError(
            "alerts require the package apprise",
            hint="Install it, then restart the service: pip install 'counterfoil[alerts]'",
        ) from error
    # At lower levels they log their URLs.
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return apprise
