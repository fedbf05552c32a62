"""The commands of `accounts`, with keys from prompts, pipes, files and variables. No key is printed."""

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
    """A key on stdin, and no terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{FULL}\n"))


Capture = pytest.CaptureFixture[str]


def _add(name: str, key: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("THE_KEY", key)
    return run(["accounts", "add", name, "--key-env", "THE_KEY"])


def _listed(capsys: Capture) -> list[dict[str, object]]:
    capsys.readouterr()
    assert run(["accounts", "list", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("piped")
def test_add_reads_key_from_pipe_without_printing_it(capsys: Capture) -> None:
    assert run(["accounts", "add", "Shop"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Shop: test key sk_test_…4242 of Paper & Ink (acct_")
    assert "can read all reports" in printed.out
    assert FULL not in printed.out + printed.err


def test_add_prompts_for_key_on_terminal_without_echo() -> None:
    controller, terminal = pty.openpty()
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
        while chunk := os.read(controller, 65_536):
            seen += chunk
            if not answered and b"API key: " in seen:
                os.write(controller, f"{FULL}\n".encode())
                answered = True
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(controller)
    assert process.wait(30) == 0, seen
    assert b"Shop: test key" in seen
    assert FULL.encode() not in seen


def test_add_reads_key_from_file_once(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "key.txt"
    file.write_text(f"  {FULL}\n")
    assert run(["accounts", "add", "Shop", "--key-file", str(file)]) == 0
    file.unlink()
    assert run(["accounts", "check", "Shop"]) == 0


@pytest.mark.parametrize("stdin", [None, b"\xff\xfe\x00\x80"], ids=["closed", "binary"])
def test_add_rejects_binary_and_closed_stdin(stdin: bytes | None, capsys: Capture) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    command = f"exec '{COUNTERFOIL}' accounts add Shop{' <&-' if stdin is None else ''}"
    done = subprocess.run(["sh", "-c", command], input=stdin, env=environment, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert len(done.stderr.splitlines()) == 2


def test_add_lists_missing_permissions_of_restricted_key(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert _add("Part", RESTRICTED, monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"can read 6 of {len(REPORTS)} reports" in lines[0]
    cells = [line.split() for line in lines[2:]]
    assert ["charges", "yes"] in cells
    assert ["coupons", "no", "rak_coupon_read"] in cells
    assert len(cells) == len(REPORTS)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["add", "X", "--key-env", "NOT_SET"], 2, "NOT_SET"),
        (["add", "X", "--key-file", "/no/such/file"], 2, "/no/such/file"),
        (["add", "X", "--key-env", "A", "--key-file", "B"], 2, "--key-file and --reference"),
        (["add", "X", "--reference", "nowhere"], 2, "'nowhere'"),
        (["add", "X", "--reference", "env:NOT_SET"], 2, "NOT_SET"),
        (["add", "X", FULL], 2, "sk_test_…"),
        (["add", FULL], 2, "name of the account"),
        (["add", "X", "--api-base", "http://stripe.example"], 2, "stripe.example"),
        (["add", "X", "--api-base", "http://127.0.0.1:1"], 1, "Nothing was stored"),
        (["add", "X", "--stripe-account", "shop"], 2, "acct_…"),
        (["check"], 2, "--all"),
        (["check", "Unknown"], 2, "'Unknown' not found"),
        (["rename", "Unknown", "Y"], 2, "'Unknown' not found"),
        (["remove", "Unknown", "--yes"], 2, "'Unknown' not found"),
        (["nothing"], 2, '"nothing"'),
    ],
)
@pytest.mark.usefixtures("piped")
def test_invalid_arguments_are_rejected(arguments: list[str], code: int, expected: str, capsys: Capture) -> None:
    assert run(["accounts", *arguments]) == code
    printed = capsys.readouterr()
    assert expected in printed.err
    assert FULL not in printed.out + printed.err
    assert _listed(capsys) == []


@pytest.mark.parametrize(
    ("key", "code"), [("", 2), ("hunter2", 2), ("pk_test_publishable1", 2), ("sk_test_nobodys4242", 3)]
)
def test_invalid_or_rejected_key_is_not_stored(
    key: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(key))
    assert run(["accounts", "add", "Shop"]) == code
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert not key or key not in printed.err
    assert _listed(capsys) == []


def test_list_prints_one_line_per_account(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert run(["accounts", "list"]) == 0
    assert "accounts add NAME" in capsys.readouterr().err
    _add("Shop", FULL, monkeypatch)
    _add("Live", LIVE, monkeypatch)
    capsys.readouterr()
    assert run(["accounts", "list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines[1:]] == [["Live", "live"], ["Shop", "test"]]


def test_check_all_continues_after_failure(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _add("Expired", "sk_test_demo_soon_gone", monkeypatch)
    _add("Shop", FULL, monkeypatch)
    capsys.readouterr()
    sandbox.control("keys", key="sk_test_demo_soon_gone", refused=True)
    try:
        assert run(["accounts", "check", "--all"]) == 3
    finally:
        sandbox.control("keys", key="sk_test_demo_soon_gone")
    printed = capsys.readouterr()
    assert "Expired:\nerror: Stripe rejected" in printed.err
    assert printed.out.startswith("Shop: ")
    assert [one["status"] for one in _listed(capsys)] == ["rejected", "ok"]


def test_key_is_replaced_only_by_key_of_same_mode(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
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
    assert "live key" in capsys.readouterr().err


@pytest.mark.usefixtures("piped")
def test_remove_lists_datasets_and_requires_yes(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    _add("Shop", FULL, monkeypatch)
    run(["datasets", "create", "Charges", "--account", "Shop", "--report", "charges"])
    capsys.readouterr()
    assert run(["accounts", "remove", "Shop"]) == 2
    printed = capsys.readouterr().err
    assert "Dataset 'Charges'" in printed
    assert "--yes" in printed
    assert run(["accounts", "rename", "Shop", "Store"]) == 0
    assert len(_listed(capsys)) == 1
    assert run(["accounts", "remove", "Store", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": "Store", "datasets": ["Charges"]}
    assert _listed(capsys) == []


def test_rotate_reports_number_of_keys_and_lost_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    _add("Shop", FULL, monkeypatch)
    capsys.readouterr()
    assert run(["vault", "rotate"]) == 0
    assert capsys.readouterr().out == "Re-encrypted 1 key\n"
    (tmp_path / "home" / "secret.key").unlink()
    assert run(["vault", "rotate", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"keys": 0, "locked": ["Shop"], "hash_keys_lost": False, "alerts_lost": []}
    assert "counterfoil accounts key Shop" in printed.err
    assert _listed(capsys)[0]["status"] == "locked"


def test_state_upgrade_creates_state_and_other_schemas_are_rejected(capsys: Capture, tmp_path: Path) -> None:
    import sqlite3

    assert run(["state", "upgrade"]) == 0
    assert "Created the state" in capsys.readouterr().out
    assert run(["state", "upgrade"]) == 0
    assert "up to date" in capsys.readouterr().out
    for schema, command in (("0000", "counterfoil state upgrade"), ("9999", "pip install --upgrade counterfoil")):
        connection = sqlite3.connect(tmp_path / "home" / "state.db")
        connection.execute("UPDATE counterfoil_schema SET version_num = ?", [schema])
        connection.commit()
        connection.close()
        assert run(["accounts", "list"]) == 2
        assert command in capsys.readouterr().err
    assert run(["state", "upgrade"]) == 2
