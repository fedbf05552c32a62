"""Alerts: who is told of what, through Apprise to a service that listens, or does not."""

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
    with hook() as made:
        yield made


def told(app: App, about: str = "x") -> None:
    app.records.alerts.tell(("failed",), about, "Charges failed", "Stripe was away.\nTry again.")


def test_an_address_is_shown_without_what_is_secret_in_it(app: App, service: Hook) -> None:
    made = app.alerts.add("Ops", service.url)
    assert made.shown == f"json://me:****@127.0.0.1:{service.port}/…"
    assert made.kinds == KINDS
    for text in (repr(made), str(plain(made)), repr(app.alerts.list())):
        assert not any(secret in text for secret in SECRETS)
    assert all(secret not in app.state.name for secret in SECRETS)
    assert not any(secret.encode() in (app.settings.home / "state.db").read_bytes() for secret in SECRETS)


@pytest.mark.parametrize("url", ["", "nonsense", "s3cret://hidden-path", "https://", "slack://"])
def test_what_is_no_address_is_refused_and_not_repeated(app: App, url: str) -> None:
    with pytest.raises(SettingsError, match="no address") as error:
        app.alerts.add("Ops", url)
    assert not any(secret in f"{error.value} {error.value.hint}" for secret in SECRETS)
    assert app.alerts.list() == ()


def test_a_test_arrives_at_once(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    app.alerts.test("Ops")
    assert service.came == [("Counterfoil can reach you", "This is the alert 'Ops'.")]
    service.status = 500
    with pytest.raises(TransientError, match=r"^Nothing arrived at json://me:\*\*\*\*@127") as error:
        app.alerts.test("Ops")
    assert not any(secret in str(error.value) for secret in SECRETS)


def test_what_is_told_arrives_once(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    for _ in range(2):
        told(app)
        Sender(app.records.alerts).send_due()
    assert service.came == [("Charges failed", "Stripe was away.\nTry again.")]
    assert app.alerts.get("Ops").sent_at == app.state.now()


def test_each_is_told_of_what_it_wants(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url, kinds=("late", "failed"))
    app.alerts.add("Books", service.url, kinds=("proof",))
    told(app)
    assert Sender(app.records.alerts).send_due() == 1
    app.alerts.edit("Books", kinds=("failed",))
    app.alerts.remove("Ops")
    told(app, "y")
    assert Sender(app.records.alerts).send_due() == 1
    assert len(service.came) == 2


def test_what_does_not_arrive_is_tried_again_and_the_reason_kept(
    app: App, service: Hook, clock: StandingClock, caplog: pytest.LogCaptureFixture
) -> None:
    app.alerts.add("Ops", service.url)
    sender = Sender(app.records.alerts)
    service.status = 503
    told(app)
    with caplog.at_level(logging.DEBUG):
        assert sender.send_due() == 0
        assert sender.send_due() == 0, "its next time has not come"
    assert app.alerts.get("Ops").problem is not None
    assert not any(secret in caplog.text + str(app.alerts.get("Ops").problem) for secret in SECRETS)
    assert len(service.came) == 1
    service.status = 200
    clock.advance(minutes=1)
    assert sender.send_due() == 1
    assert app.alerts.get("Ops").problem is None
    assert app.records.alerts.next_try_at() is None


def test_what_never_arrives_is_given_up(app: App, service: Hook, clock: StandingClock) -> None:
    app.alerts.add("Ops", service.url)
    service.status = 503
    told(app)
    while app.records.alerts.next_try_at() is not None:
        clock.advance(hours=8)
        Sender(app.records.alerts).send_due()
        assert len(service.came) < 10
    assert len(service.came) == 6
    clock.advance(days=31)
    assert app.records.alerts.claim() == ()


def test_two_that_send_share_the_work(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    told(app)
    assert len(app.records.alerts.claim()) == 1
    assert app.records.alerts.claim() == ()


def test_everything_that_is_due_is_sent_at_once_and_counted(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    for about in ("x", "y", "z"):
        told(app, about)
    assert Sender(app.records.alerts).send_due() == len(service.came) == 3


def test_a_service_that_is_away_keeps_no_other_from_being_told(app: App, service: Hook) -> None:
    with hook() as away:
        away.status = 503
        app.alerts.add("Away", away.url)
        app.alerts.add("Ops", service.url)
        for about in ("x", "y"):
            told(app, about)
        assert Sender(app.records.alerts).send_due() == 2
        assert (len(away.came), len(service.came)) == (2, 2)


def test_a_thread_sends_what_is_due(app: App, service: Hook) -> None:
    app.alerts.add("Ops", service.url)
    sender = Sender(app.records.alerts)
    sender.now_and_then(app.state.now())
    assert sender._thread is None, "there was nothing to send"
    told(app)
    sender.now_and_then(app.state.now())
    assert sender._thread is not None
    sender._thread.join(30)
    assert len(service.came) == 1


def test_addresses_go_with_the_ring(app: App, service: Hook) -> None:
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
    told(app)
    assert Sender(app.records.alerts).send_due() == 0
    assert "can't be decrypted" in str(app.alerts.get("Ops").problem)


def test_without_apprise_it_says_what_to_install(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    from counterfoil.app import notifier

    notifier._apprise.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(SettingsError, match="need the package apprise") as error:
        app.alerts.add("Ops", "json://localhost")
    assert "counterfoil[alerts]" in str(error.value.hint)
    notifier._apprise.cache_clear()
