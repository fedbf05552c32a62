"""Tokens: made once, kept as hashes, listed, used, revoked; by the calls, the command line and the page."""

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


def test_only_the_hash_of_a_token_is_kept(app: App) -> None:
    made = app.tokens.create("ci")
    assert FORM.fullmatch(made.secret)
    kept = (app.settings.home / "state.db").read_bytes() + (app.settings.home / "state.db-wal").read_bytes()
    assert made.secret.encode() not in kept
    assert sha256(made.secret.encode()).hexdigest().encode() in kept


def test_a_token_is_not_in_what_its_values_say_of_themselves(app: App) -> None:
    made = app.tokens.create("ci")
    assert made.secret not in f"{made!r} {made} {app.tokens.list()} {app.tokens.find(made.secret)}"


def test_a_token_is_not_in_the_log(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("json", level=10)
    try:
        program.ask("GET", "/datasets")
        program.ask("POST", f"/datasets/{program.token}/pause")
        program.ask("GET", f"/datasets?token={program.token}")
        logging.get_logger("web").error(f"what of {program.token}?", token=f"Bearer {program.token}")
    finally:
        logging.configure("text", level=30)
    said = capsys.readouterr().err
    assert said.count("\n") >= 3
    assert '"token": "tests"' in said
    assert str(program.token)[3:20] not in said


def test_a_token_in_a_name_is_not_repeated(program: Program) -> None:
    for path in (f"/datasets/{program.token}", f"/runs/{program.token}", f"/questions/{program.token}"):
        answer = program.ask("GET", path, status=404)
        assert str(program.token)[3:20] not in answer.text


def test_periods_are_hours_days_or_weeks(app: App, clock: StandingClock) -> None:
    for period, length in (("12h", 0.5), ("90d", 90), (" 2 W ", 14)):
        made = app.tokens.create(f"for {period}", expires=period)
        assert made.token.expires_at == clock.at + timedelta(days=length)
    assert app.tokens.create("for good").token.expires_at is None


def test_what_is_no_period_is_refused(app: App) -> None:
    for period in ("0d", "d", "90", "-1d", "99999w", "1 year", "sk_test_" + "51Counterfoil4242"):
        with pytest.raises(SettingsError, match="is not a period") as refusal:
            app.tokens.create("ci", expires=period)
        assert "4242" not in str(refusal.value)


def test_a_name_is_taken_until_its_token_is_revoked(app: App) -> None:
    first = app.tokens.create("ci")
    with pytest.raises(NameTaken, match="There is already a token 'ci'"):
        app.tokens.create(" ci ")
    app.tokens.revoke("ci")
    second = app.tokens.create("ci")
    assert app.tokens.find(first.secret) is None
    assert app.tokens.find(second.secret) is not None
    assert [app.tokens.status(one) for one in app.tokens.list() if one.id == first.token.id] == ["revoked"]


def test_a_token_that_is_unknown_or_revoked_is_not_revoked(app: App) -> None:
    with pytest.raises(SettingsError, match="no token 'ci'"):
        app.tokens.revoke("ci")
    app.tokens.create("ci")
    app.tokens.revoke("ci")
    with pytest.raises(SettingsError, match="revoked already"):
        app.tokens.revoke("ci")


def test_a_use_is_noted_at_most_once_a_minute(app: App, clock: StandingClock) -> None:
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


def test_the_command_line_makes_lists_and_revokes(
    app: App, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, make_program: MakeProgram
) -> None:
    monkeypatch.setenv("COUNTERFOIL_HOME", str(app.settings.home))
    assert run(["tokens", "create", "ci", "--read-only", "--expires", "90d"]) == 0
    said = capsys.readouterr()
    assert FORM.fullmatch(said.out.strip())
    assert said.out.strip() not in said.err
    assert make_program(token=said.out.strip()).get("/datasets") == {"items": []}
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


def test_the_page_shows_a_new_token_once_and_revokes_it(
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


def test_the_page_says_what_is_wrong_with_a_name(site: Site, app: App) -> None:
    owner = site.owner()
    app.tokens.create("<b>ci</b>")
    answer = owner.post("/tokens", {"name": "<b>ci</b>", "scope": "read", "expires": "90d"})
    assert answer.status == 422
    assert "There is already a token" in answer.text
    assert "<b>ci" not in answer.text
