"""`accounts`, as it is typed, piped and answered. A key is never shown."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from counterfoil.cli import run
from counterfoil.reports.catalogue import REPORTS
from stripe_sandbox import Sandbox

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))
FULL = "sk_test_demo_full_4242"
LIVE = "sk_live_everything4242"
RESTRICTED = "rk_test_restricted4242"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1) as serving:
        serving.control("keys", key=LIVE)
        serving.control("keys", key=RESTRICTED, permissions=["rak_charge_read", "rak_invoice_write"])
        yield serving


@pytest.fixture(autouse=True)
def _environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is at the terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{FULL}\n"))


Told = pytest.CaptureFixture[str]


def _add(name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("THE_KEY", key)
    return run(["accounts", "add", name, "--key-env", "THE_KEY"])


def _listed(capsys: Told) -> list[dict[str, object]]:
    capsys.readouterr()
    assert run(["accounts", "list", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("piped")
def test_a_key_from_a_pipe_is_tried_and_told_without_being_shown(capsys: Told) -> None:
    assert run(["accounts", "add", "Shop"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Shop: test key sk_test_…4242 of Paper & Ink (acct_")
    assert "reads every report" in printed.out
    assert FULL not in printed.out + printed.err


def test_a_key_is_asked_for_on_a_terminal_and_does_not_appear() -> None:
    person, terminal = pty.openpty()
    process = subprocess.Popen(
        [COUNTERFOIL, "accounts", "add", "Shop"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen, answered = b"", False
    try:
        while chunk := os.read(person, 65_536):
            seen += chunk
            if not answered and b"not shown: " in seen:
                os.write(person, f"{FULL}\n".encode())
                answered = True
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(person)
    assert process.wait(30) == 0, seen
    assert b"Shop: test key" in seen
    assert FULL.encode() not in seen


def test_a_key_from_a_file_is_taken_once(tmp_path: Path, capsys: Told) -> None:
    kept = tmp_path / "key.txt"
    kept.write_text(f"  {FULL}\n")
    assert run(["accounts", "add", "Shop", "--key-file", str(kept)]) == 0
    kept.unlink()
    assert run(["accounts", "check", "Shop"]) == 0


@pytest.mark.parametrize("given", [None, b"\xff\xfe\x00\x80"])
def test_what_is_no_text_and_no_input_at_all_are_no_key(given: bytes | None, capsys: Told) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    closed = (
        f"exec '{COUNTERFOIL}' accounts add Shop <&-" if given is None else f"exec '{COUNTERFOIL}' accounts add Shop"
    )
    done = subprocess.run(["sh", "-c", closed], input=given, env=environment, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert len(done.stderr.splitlines()) == 2


def test_of_a_restricted_key_a_table_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Told) -> None:
    assert _add("Part", RESTRICTED, monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"reads 6 of {len(REPORTS)} reports" in lines[0]
    cells = [line.split() for line in lines[2:]]
    assert ["charges", "yes"] in cells
    assert ["coupons", "no", "rak_coupon_read"] in cells
    assert len(cells) == len(REPORTS)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["add", "X", "--key-env", "NOT_SET"], 2, "NOT_SET is not set"),
        (["add", "X", "--key-file", "/no/such/file"], 2, "can't be read"),
        (["add", "X", "--key-env", "A", "--key-file", "B"], 2, "in more than one place"),
        (["add", "X", "--reference", "nowhere"], 2, "does not say where a key is kept"),
        (["add", "X", "--reference", "env:NOT_SET"], 2, "NOT_SET is not set"),
        (["add", "X", FULL], 2, "sk_test_…"),
        (["add", FULL], 2, "The account's name is a key"),
        (["add", "X", "--api-base", "http://stripe.example"], 2, "must be https"),
        (["add", "X", "--api-base", "http://127.0.0.1:1"], 1, "Nothing was stored"),
        (["add", "X", "--stripe-account", "shop"], 2, "not an id of Stripe's"),
        (["check"], 2, "or --all"),
        (["check", "Nobody"], 2, "There is no account 'Nobody'"),
        (["rename", "Nobody", "Y"], 2, "There is no account 'Nobody'"),
        (["remove", "Nobody", "--yes"], 2, "There is no account 'Nobody'"),
        (["nothing"], 2, "Unknown command"),
    ],
)
@pytest.mark.usefixtures("piped")
def test_wrong_words_are_refused_in_words(words: list[str], code: int, says: str, capsys: Told) -> None:
    assert run(["accounts", *words]) == code
    printed = capsys.readouterr()
    assert says in printed.err
    assert FULL not in printed.out + printed.err
    assert _listed(capsys) == []


@pytest.mark.parametrize(
    ("key", "code"), [("", 2), ("hunter2", 2), ("pk_test_publishable1", 2), ("sk_test_nobodys4242", 3)]
)
def test_a_key_that_can_not_be_right_or_is_refused_is_not_stored(
    key: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Told
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(key))
    assert run(["accounts", "add", "Shop"]) == code
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert not key or key not in printed.err
    assert _listed(capsys) == []


def test_a_list_has_a_line_for_each_account(monkeypatch: pytest.MonkeyPatch, capsys: Told) -> None:
    assert run(["accounts", "list"]) == 0
    assert "accounts add NAME" in capsys.readouterr().err
    _add("Shop", FULL, monkeypatch)
    _add("Live", LIVE, monkeypatch)
    capsys.readouterr()
    assert run(["accounts", "list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines[1:]] == [["Live", "live"], ["Shop", "test"]]


def test_a_check_of_all_goes_on_after_one_that_fails(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: Told
) -> None:
    _add("A gone one", "sk_test_demo_soon_gone", monkeypatch)
    _add("Shop", FULL, monkeypatch)
    capsys.readouterr()
    sandbox.control("keys", key="sk_test_demo_soon_gone", refused=True)
    try:
        assert run(["accounts", "check", "--all"]) == 3
    finally:
        sandbox.control("keys", key="sk_test_demo_soon_gone")
    printed = capsys.readouterr()
    assert "Stripe does not take the key" in printed.err
    assert printed.out.startswith("Shop: ")
    assert [one["status"] for one in _listed(capsys)] == ["rejected", "ok"]


def test_a_key_is_replaced_by_one_of_the_same_mode(monkeypatch: pytest.MonkeyPatch, capsys: Told) -> None:
    _add("Shop", FULL, monkeypatch)
    run(["datasets", "create", "Charges", "--account", "Shop", "--report", "charges"])
    run(["datasets", "pause", "Charges"])
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(RESTRICTED))
    assert run(["accounts", "key", "Shop"]) == 0
    printed = capsys.readouterr()
    assert "rk_test_…4242" in printed.out
    assert "counterfoil datasets resume Charges" in printed.err
    monkeypatch.setattr("sys.stdin", io.StringIO(LIVE))
    assert run(["accounts", "key", "Shop"]) == 2
    assert "This is a live key" in capsys.readouterr().err


@pytest.mark.usefixtures("piped")
def test_a_removal_names_the_datasets_that_stop_and_needs_a_yes(monkeypatch: pytest.MonkeyPatch, capsys: Told) -> None:
    _add("Shop", FULL, monkeypatch)
    run(["datasets", "create", "Charges", "--account", "Shop", "--report", "charges"])
    capsys.readouterr()
    assert run(["accounts", "remove", "Shop"]) == 2
    said = capsys.readouterr().err
    assert "The dataset 'Charges' stops" in said
    assert "--yes" in said
    assert run(["accounts", "rename", "Shop", "Store"]) == 0
    assert len(_listed(capsys)) == 1
    assert run(["accounts", "remove", "Store", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": "Store", "datasets": ["Charges"]}
    assert _listed(capsys) == []


def test_a_rotation_tells_how_many_keys_and_which_are_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: Told, tmp_path: Path
) -> None:
    _add("Shop", FULL, monkeypatch)
    capsys.readouterr()
    assert run(["vault", "rotate"]) == 0
    assert capsys.readouterr().out == "1 key encrypted anew.\n"
    (tmp_path / "home" / "secret.key").unlink()
    assert run(["vault", "rotate", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"keys": 0, "locked": ["Shop"], "hash_keys_lost": False, "alerts_lost": []}
    assert "counterfoil accounts key Shop" in printed.err
    assert _listed(capsys)[0]["status"] == "locked"


def test_a_state_is_made_and_an_older_or_newer_one_is_refused_with_what_mends_it(capsys: Told, tmp_path: Path) -> None:
    import sqlite3

    assert run(["state", "upgrade"]) == 0
    assert "A new state was made" in capsys.readouterr().out
    assert run(["state", "upgrade"]) == 0
    assert "already" in capsys.readouterr().out
    for schema, code, says in (("0000", 2, "counterfoil state upgrade"), ("9999", 2, "Install a newer counterfoil")):
        connection = sqlite3.connect(tmp_path / "home" / "state.db")
        connection.execute("UPDATE counterfoil_schema SET version_num = ?", [schema])
        connection.commit()
        connection.close()
        assert run(["accounts", "list"]) == code
        assert says in capsys.readouterr().err
    assert run(["state", "upgrade"]) == 2
