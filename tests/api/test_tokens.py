"""Tokens: creation, storage as hashes, use, expiry and revocation, by service, command line and page."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from hashlib import sha256

import pytest

from counterfoil import logging
from counterfoil.app.app import App
from counterfoil.app.tokens import FORM
from counterfoil.cli import run
from counterfoil.errors import NameTaken, SettingsError
from tests.api.conftest import MakeProgram
from tests.api.program import Program
from tests.web.conftest import Site, StandingClock
from tests.web.forms import form_of


def test_only_hash_of_token_is_stored(app: App) -> None:
    made = app.tokens.create("ci")
    assert FORM.fullmatch(made.secret)
    stored = (app.settings.home / "state.db").read_bytes() + (app.settings.home / "state.db-wal").read_bytes()
    assert made.secret.encode() not in stored
    assert sha256(made.secret.encode()).hexdigest().encode() in stored


def test_repr_contains_no_token(app: App) -> None:
    made = app.tokens.create("ci")
    assert made.secret not in f"{made!r} {made} {app.tokens.list()} {app.tokens.find(made.secret)}"


def test_log_contains_no_token(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("json", level=10)
    try:
        program.ask("GET", "/datasets")
        program.ask("POST", f"/datasets/{program.token}/pause")
        program.ask("GET", f"/datasets?token={program.token}")
        logging.get_logger("web").error(f"invalid token {program.token}", token=f"Bearer {program.token}")
    finally:
        logging.configure("text", level=30)
    output = capsys.readouterr().err
    assert output.count("\n") >= 3
    assert '"token": "tests"' in output
    assert str(program.token)[3:20] not in output


def test_error_for_token_as_name_does_not_repeat_it(program: Program) -> None:
    for path in (f"/datasets/{program.token}", f"/runs/{program.token}", f"/questions/{program.token}"):
        answer = program.ask("GET", path, status=404)
        assert str(program.token)[3:20] not in answer.text


def test_lifetime_is_hours_days_or_weeks(app: App, clock: StandingClock) -> None:
    for period, length in (("12h", 0.5), ("90d", 90), (" 2 W ", 14)):
        made = app.tokens.create(f"for {period}", expires=period)
        assert made.token.expires_at == clock.at + timedelta(days=length)
    assert app.tokens.create("without expiry").token.expires_at is None


def test_invalid_lifetime_is_rejected(app: App) -> None:
    for period in ("0d", "d", "90", "-1d", "99999w", "1 year", "sk_test_" + "51Counterfoil4242"):
        with pytest.raises(SettingsError) as caught:
            app.tokens.create("ci", expires=period)
        assert "90d" in (caught.value.hint or "")
        assert "4242" not in str(caught.value)


def test_name_is_available_after_revocation(app: App) -> None:
    first = app.tokens.create("ci")
    with pytest.raises(NameTaken, match="token 'ci'"):
        app.tokens.create(" ci ")
    app.tokens.revoke("ci")
    second = app.tokens.create("ci")
    assert app.tokens.find(first.secret) is None
    assert app.tokens.find(second.secret) is not None
    assert [app.tokens.status(one) for one in app.tokens.list() if one.id == first.token.id] == ["revoked"]


def test_unknown_or_revoked_token_cannot_be_revoked(app: App) -> None:
    with pytest.raises(SettingsError, match="'ci'") as caught:
        app.tokens.revoke("ci")
    assert caught.value.code == "token_not_found"
    app.tokens.create("ci")
    app.tokens.revoke("ci")
    with pytest.raises(SettingsError, match="'ci'") as caught:
        app.tokens.revoke("ci")
    assert caught.value.code == "token_revoked"


def test_use_is_recorded_at_most_once_a_minute(app: App, clock: StandingClock) -> None:
    secret = app.tokens.create("ci").secret
    assert app.tokens.list()[0].last_used_at is None
    first = clock.at
    app.tokens.find(secret)
    clock.advance(seconds=59)
    app.tokens.find(secret)
    assert app.tokens.list()[0].last_used_at == first
    clock.advance(seconds=1)
    app.tokens.find(secret)
    assert app.tokens.list()[0].last_used_at == clock.at


def test_command_line_creates_lists_and_revokes_tokens(
    app: App, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, make_program: MakeProgram
) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", str(app.settings.home))
    assert run(["tokens", "create", "ci", "--read-only", "--expires", "90d"]) == 0
    output = capsys.readouterr()
    assert FORM.fullmatch(output.out.strip())
    assert output.out.strip() not in output.err
    assert make_program(token=output.out.strip()).get("/datasets") == {"items": []}
    assert run(["tokens", "create", "other", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert FORM.fullmatch(made.pop("token"))
    assert run(["tokens", "list", "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert made in listed
    assert {one["name"]: one["scope"] for one in listed} == {"ci": "read", "other": "full"}
    assert run(["tokens", "revoke", "ci"]) == 0
    assert run(["tokens", "list"]) == 0
    assert re.search(r"ci +read .* revoked", capsys.readouterr().out)


def test_page_shows_new_token_once_and_revokes_it(
    site: Site, app: App, clock: StandingClock, make_program: MakeProgram
) -> None:
    owner = site.owner()
    answer = form_of(owner.get("/tokens").text, "/tokens").send(owner, name="nightly", scope="full", expires="30d")
    assert (answer.status, answer["cache-control"]) == (200, "no-store")
    secret = FORM.search(answer.text)
    assert secret is not None
    program = make_program(token=secret[0])
    program.get("/datasets")
    shown = owner.get("/tokens").text
    assert FORM.search(shown) is None
    assert "nightly" in shown
    token = app.tokens.list()[0]
    assert (token.scope, token.expires_at) == ("full", clock.at + timedelta(days=30))
    owner.post(f"/tokens/{token.id}/revoke")
    assert program.ask("GET", "/datasets").status == 401
    assert "revoked" in owner.get("/tokens").text


def test_page_rejects_duplicate_name_and_escapes_it(site: Site, app: App) -> None:
    owner = site.owner()
    app.tokens.create("<b>ci</b>")
    answer = owner.post("/tokens", {"name": "<b>ci</b>", "scope": "read", "expires": "90d"})
    assert answer.status == 422
    assert "&#39;&lt;b&gt;ci&lt;/b&gt;&#39;" in answer.text
    assert "<b>ci" not in answer.text
