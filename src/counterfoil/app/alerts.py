"""Operations on alerts: URLs that receive notifications about failures and recoveries."""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.app.notifier import address, send
from counterfoil.errors import TransientError
from counterfoil.state.alerts import KINDS, Alert, Alerts, Kind

__all__ = ["KINDS", "AlertService"]


class AlertService:
    """Add, list, edit, test, remove. Alerts are given by name or id."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts

    def add(self, name: str, url: str, *, kinds: Sequence[Kind] = KINDS) -> Alert:
        """Saves an alert with an Apprise URL; SettingsError if the URL is invalid."""
        return self._alerts.add(name, url=url.strip(), shown=address(url), kinds=kinds)

    def list(self) -> tuple[Alert, ...]:
        """All alerts, by name."""
        return self._alerts.list()

    def get(self, name_or_id: str) -> Alert:
        """The alert with this name or id."""
        return self._alerts.get(name_or_id)

    def edit(
        self, name_or_id: str, *, name: str | None = None, url: str | None = None, kinds: Sequence[Kind] | None = None
    ) -> Alert:
        """Changes the given fields."""
        shown = None if url is None else address(url)
        return self._alerts.edit(name_or_id, name=name, url=url and url.strip(), shown=shown, kinds=kinds)

    def test(self, name_or_id: str) -> Alert:
        """Sends a test message; TransientError if it was not delivered."""
        alert = self._alerts.get(name_or_id)
        try:
            send(self._alerts.url(alert.id), "Counterfoil test message", f"The alert {alert.name!r} works.")
        except TransientError as error:
            error.message = f"test message to {alert.shown} not delivered: {error.message}"
            raise
        return alert

    def remove(self, name_or_id: str) -> Alert:
        """Removes an alert."""
        return self._alerts.remove(name_or_id)
