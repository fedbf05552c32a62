"""Alerts: recipients of notifications, and the notices to send to them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from counterfoil.errors import AccountError, SettingsError
from counterfoil.logging import redacted
from counterfoil.state import names
from counterfoil.state.alert import KINDS, Alert, Kind, Notice
from counterfoil.state.database import State
from counterfoil.state.tables import alerts, notices
from counterfoil.state.vault import Vault

__all__ = ["KINDS", "Alert", "Alerts", "Kind", "Notice"]

#: The waits between two tries; there is no try after the last one.
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 480))
#: How long a claimed notice is reserved for its sender.
_LEASE = timedelta(minutes=5)
_KEPT = timedelta(days=30)


class Alerts:
    """The saved alerts. URLs are sealed in the vault, each bound to its alert."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def add(self, name: str, *, url: str, shown: str, kinds: Sequence[Kind] = KINDS) -> Alert:
        """Saves an alert."""
        name, alert = names.checked_name("alert", name), names.new_id("alert")
        with self._state.begin() as connection:
            self._free(connection, name)
            ciphertext, version = self._vault.seal(alert, url)
            connection.execute(
                alerts.insert().values(
                    id=alert,
                    name=name,
                    shown=shown,
                    ciphertext=ciphertext,
                    key_version=version,
                    kinds=_checked(kinds),
                    created_at=self._state.now(),
                )
            )
            return self._one(connection, alert)

    def list(self) -> tuple[Alert, ...]:
        """All alerts by name."""
        with self._state.read() as connection:
            return tuple(map(_alert, connection.execute(sa.select(alerts).order_by(alerts.c.name)).mappings()))

    def get(self, name_or_id: str) -> Alert:
        """The alert with a name or an id; SettingsError suggests the nearest name."""
        with self._state.read() as connection:
            return self._one(connection, name_or_id)

    def edit(
        self,
        name_or_id: str,
        *,
        name: str | None = None,
        kinds: Sequence[Kind] | None = None,
        url: str | None = None,
        shown: str | None = None,
    ) -> Alert:
        """Changes the given fields; `url` requires `shown`."""
        with self._state.begin() as connection:
            alert = self._one(connection, name_or_id)
            values: dict[str, Any] = {}
            if name is not None and name.strip() != alert.name:
                values["name"] = names.checked_name("alert", name)
                self._free(connection, values["name"])
            if kinds is not None:
                values["kinds"] = _checked(kinds)
            if url is not None:
                ciphertext, version = self._vault.seal(alert.id, url)
                values |= {"ciphertext": ciphertext, "key_version": version, "shown": shown, "problem": None}
            if values:
                connection.execute(alerts.update().where(alerts.c.id == alert.id).values(**values))
            return self._one(connection, alert.id)

    def remove(self, name_or_id: str) -> Alert:
        """Deletes the alert and its unsent notices."""
        with self._state.begin() as connection:
            alert = self._one(connection, name_or_id)
            connection.execute(alerts.delete().where(alerts.c.id == alert.id))
            return alert

    def url(self, name_or_id: str) -> str:
        """The URL itself; SettingsError if it can't be decrypted."""
        alert = self.get(name_or_id)
        with self._state.read() as connection:
            row = connection.execute(sa.select(alerts).where(alerts.c.id == alert.id)).one()
        return self._opened(row)

    def rotate(self) -> tuple[str, ...]:
        """Seals every URL again with the first master key; returns the names of alerts that can't be decrypted."""
        lost = []
        with self._state.begin() as connection:
            for row in connection.execute(sa.select(alerts).order_by(alerts.c.name)).all():
                try:
                    ciphertext, version = self._vault.seal(row.id, self._opened(row))
                except SettingsError:
                    lost.append(row.name)
                    continue
                sealed = {"ciphertext": ciphertext, "key_version": version}
                connection.execute(alerts.update().where(alerts.c.id == row.id).values(**sealed))
        return tuple(lost)

    def together(self) -> AbstractContextManager[object]:
        """A transaction that contains a change and the notices about it."""
        return self._state.begin()

    def tell(self, kinds: tuple[Kind, ...], about: str, title: str, body: str) -> None:
        """Adds a notice for each alert that wants one of the kinds; never two `about` the same event."""
        now = self._state.now()
        with self._state.begin() as connection:
            rows = [
                {
                    "alert": alert.id,
                    "about": about,
                    "kind": next(kind for kind in kinds if kind in alert.kinds),
                    "title": redacted(title),
                    "body": redacted(body),
                    "created_at": now,
                    "tries": 0,
                    "next_try_at": now,
                }
                for alert in map(_alert, connection.execute(sa.select(alerts)).mappings())
                if set(kinds) & set(alert.kinds)
            ]
            if rows:
                insert = self._state.insert(notices).values(rows)
                connection.execute(insert.on_conflict_do_nothing(index_elements=["alert", "about"]))

    def claim(self, limit: int = 20) -> tuple[Notice, ...]:
        """Due notices, oldest first; no other process gets them for five minutes.

        Deletes notices that are older than 30 days.
        """
        now, found = self._state.now(), []
        with self._state.begin() as connection:
            connection.execute(notices.delete().where(notices.c.created_at < now - _KEPT))
            chosen = (
                sa.select(notices, alerts.c.name, alerts.c.id, alerts.c.ciphertext, alerts.c.key_version)
                .join(alerts, alerts.c.id == notices.c.alert)
                .where(notices.c.next_try_at <= now)
                .order_by(notices.c.number)
                .limit(limit)
            )
            for row in connection.execute(chosen).all():
                values: dict[str, Any] = {"next_try_at": now + _LEASE, "tries": row.tries + 1}
                try:
                    url = self._opened(row)
                except SettingsError as error:
                    values["next_try_at"] = None
                    self._change(connection, row.alert, problem=error.message)
                else:
                    found.append(
                        Notice(
                            number=row.number,
                            alert=row.alert,
                            title=row.title,
                            body=row.body,
                            tries=row.tries + 1,
                            url=url,
                        )
                    )
                connection.execute(notices.update().where(notices.c.number == row.number).values(**values))
        return tuple(found)

    def sent(self, notice: Notice) -> None:
        """Records that the notice was sent."""
        now = self._state.now()
        with self._state.begin() as connection:
            values = {"sent_at": now, "next_try_at": None}
            connection.execute(notices.update().where(notices.c.number == notice.number).values(**values))
            self._change(connection, notice.alert, problem=None, sent_at=now)

    def not_sent(self, notice: Notice, problem: str) -> datetime | None:
        """Records why the notice was not sent; returns the time of the next try, None if there is none."""
        wait = _WAITS[notice.tries - 1] if notice.tries <= len(_WAITS) else None
        again = None if wait is None else self._state.now() + wait
        with self._state.begin() as connection:
            change = notices.update().where(notices.c.number == notice.number)
            connection.execute(change.values(next_try_at=again))
            self._change(connection, notice.alert, problem=redacted(problem))
        return again

    def next_try_at(self) -> datetime | None:
        """The time of the next notice to send; None if there is none."""
        with self._state.read() as connection:
            found: datetime | None = connection.scalar(sa.select(sa.func.min(notices.c.next_try_at)))
            return found

    def _opened(self, row: Any) -> str:
        try:
            return self._vault.open(row.id, row.ciphertext, row.key_version)
        except AccountError as error:
            raise SettingsError(
                f"the URL of the alert {row.name!r} can't be decrypted: {error.message}",
                hint="Remove the alert, then add it again: counterfoil alerts add",
            ) from None

    @staticmethod
    def _change(connection: sa.Connection, alert: str, **values: Any) -> None:
        connection.execute(alerts.update().where(alerts.c.id == alert).values(**values))

    @staticmethod
    def _free(connection: sa.Connection, name: str) -> None:
        if connection.scalar(sa.select(alerts.c.id).where(alerts.c.name == name)):
            raise names.taken("alert", name)

    @staticmethod
    def _one(connection: sa.Connection, word: str) -> Alert:
        column = alerts.c.id if names.is_id("alert", word) else alerts.c.name
        row = connection.execute(sa.select(alerts).where(column == word.strip())).mappings().first()
        if row is None:
            raise names.unknown("alert", word, connection.scalars(sa.select(alerts.c.name)))
        return _alert(row)


def _checked(kinds: Sequence[Kind]) -> list[Kind]:
    for kind in kinds:
        if kind not in KINDS:
            raise SettingsError(f"invalid kind of event: {redacted(kind)!r}", hint=f"Use one of: {', '.join(KINDS)}.")
    if not kinds:
        raise SettingsError("the alert has no kind of event", hint=f"Use at least one of: {', '.join(KINDS)}.")
    return [kind for kind in KINDS if kind in kinds]


def _alert(row: sa.RowMapping) -> Alert:
    return Alert(**{name: row[name] for name in Alert.__slots__ if name != "kinds"}, kinds=tuple(row["kinds"]))
