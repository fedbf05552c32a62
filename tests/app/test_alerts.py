"""Alerts: notifications through Apprise to a service that accepts or rejects them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from counterfoil.app.alerts import KINDS
from counterfoil.app.app import App
from counterfoil.app.dictionaries import plain
from counterfoil.app.notifier import Sender
from counterfoil.errors import SettingsError, TransientError
from tests.app.hook import Hook, hook
from tests.state.conftest import StandingClock

SECRETS = ("s3cret", "hidden-path")


@pytest.fixture
def service() -> Iterator[Hook]:
    with hook() as listening:
        yield listening


TITLE, BODY = "Charges failed", "Stripe is down.\nTry again."


def notify(app: App, about: str = "x") -> None:
    """Queues a notification about a failure."""
    app.records.alerts.tell(("failed",), about, TITLE, BODY)


def test_url_is_shown_without_secrets(app: App, service: Hook) -> None:
    alert = app.alerts.add("Ops", service.url)
    assert alert.shown == f"json://me:****@127.0.0.1:{service.port}/…"
    assert alert.kinds == KINDS
    for text in (repr(alert), str(plain(alert)), repr(app.alerts.list())):
        assert not any(secret in text for secret in SECRETS)
    assert all(secret not in app.state.name for secret in SECRETS)
    assert not any(secret.encode() in (app.settings.home / "state.db").read_bytes() for secret in SECRETS)


@pytest.mark.parametrize("url", ["", "nonsense", "s3cret://hidden-path", "https://", "slack://"])
def test_invalid_url_is_rejected_and_not_repeated(app: App, url: str) -> None:
    with pytest.raises(SettingsError, match="invalid alert URL") as error:
        app.alerts.add("Ops", url)
    assert not any(secret in f"{error.value} {error.value.hint}" for secret in SECRETS)
    assert app.alerts.list() == ()


def test_test_message_is_sent_at_once(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    app.alerts.test("Ops")
    assert [title for title, _ in service.came] == ["Counterfoil test message"]
    assert "'Ops'" in service.came[0][1]
    service.status = 500
    with pytest.raises(TransientError, match=r"json://me:\*\*\*\*@127") as error:
        app.alerts.test("Ops")
    assert not any(secret in str(error.value) for secret in SECRETS)


def test_notification_is_sent_once(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    for _ in range(2):
        notify(app)
        Sender(app.records.alerts).send_due()
    assert service.came == [(TITLE, BODY)]
    assert app.alerts.get("Ops").sent_at == app.state.now()


def test_alert_receives_only_its_events(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url, kinds=("late", "failed"))
    app.alerts.add("Books", service.url, kinds=("proof",))
    notify(app)
    assert Sender(app.records.alerts).send_due() == 1
    app.alerts.edit("Books", kinds=("failed",))
    app.alerts.remove("Ops")
    notify(app, "y")
    assert Sender(app.records.alerts).send_due() == 1
    assert len(service.came) == 2


def test_failed_notification_is_retried_and_its_error_stored(
    app: App, service: Hook, clock: StandingClock, caplog: pytest.LogCaptureFixture
) -> None:
    app.alerts.add("Ops", service.url)
    sender = Sender(app.records.alerts)
    service.status = 503
    notify(app)
    with caplog.at_level(logging.DEBUG):
        assert sender.send_due() == 0
        assert sender.send_due() == 0, "the retry is not due yet"
    assert app.alerts.get("Ops").problem is not None
    assert not any(secret in caplog.text + str(app.alerts.get("Ops").problem) for secret in SECRETS)
    assert len(service.came) == 1
    service.status = 200
    clock.advance(minutes=1)
    assert sender.send_due() == 1
    assert app.alerts.get("Ops").problem is None
    assert app.records.alerts.next_try_at() is None


def test_undeliverable_notification_is_dropped_after_six_attempts(
    app: App, service: Hook, clock: StandingClock
) -> None:
    app.alerts.add("Ops", service.url)
    service.status = 503
    notify(app)
    while app.records.alerts.next_try_at() is not None:
        clock.advance(hours=8)
        Sender(app.records.alerts).send_due()
        assert len(service.came) < 10
    assert len(service.came) == 6
    clock.advance(days=31)
    assert app.records.alerts.claim() == ()


def test_notification_is_claimed_by_one_sender(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    notify(app)
    assert len(app.records.alerts.claim()) == 1
    assert app.records.alerts.claim() == ()


def test_due_notifications_are_sent_and_counted(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    for about in ("x", "y", "z"):
        notify(app, about)
    assert Sender(app.records.alerts).send_due() == len(service.came) == 3


def test_failing_service_does_not_block_others(app: App, service: Hook) -> None:
    with hook() as failing:
        failing.status = 503
        app.alerts.add("Failing", failing.url)
        app.alerts.add("Ops", service.url)
        for about in ("x", "y"):
            notify(app, about)
        assert Sender(app.records.alerts).send_due() == 2
        assert (len(failing.came), len(service.came)) == (2, 2)


def test_due_notifications_are_sent_in_a_thread(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    sender = Sender(app.records.alerts)
    sender.now_and_then(app.state.now())
    assert sender._thread is None, "nothing is due"
    notify(app)
    sender.now_and_then(app.state.now())
    assert sender._thread is not None
    sender._thread.join(30)
    assert len(service.came) == 1


def test_urls_are_reencrypted_and_lost_with_the_master_key(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    rotated = app.accounts.rotate()
    assert rotated.alerts_lost == ()
    app.alerts.test("Ops")
    (app.settings.home / "secret.key").unlink()
    app.vault.add()
    assert app.accounts.rotate().alerts_lost == ("Ops",)
    with pytest.raises(SettingsError, match="'Ops' can't be decrypted") as error:
        app.alerts.test("Ops")
    assert "alerts add" in str(error.value.hint)
    notify(app)
    assert Sender(app.records.alerts).send_due() == 0
    assert "can't be decrypted" in str(app.alerts.get("Ops").problem)


def test_missing_apprise_is_reported_with_install_command(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    from counterfoil.app import notifier

    notifier._apprise.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(SettingsError, match="apprise") as error:
        app.alerts.add("Ops", "json://localhost")
    assert "pip install 'counterfoil[alerts]'" in str(error.value.hint)
    notifier._apprise.cache_clear()
