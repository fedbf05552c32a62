"""Invalid input gets an error with a hint and the right exit code, and leaves the table unchanged."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil import RunError, connect
from counterfoil.cli import run
from counterfoil.reports.catalogue import REPORTS
from counterfoil.runs.progress import Progress

from .conftest import KEY, Stripe

TO = "duckdb:///x.duckdb"


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; checks the format of its errors, and returns the exit code and stderr."""

    def execute(*arguments: str) -> tuple[int, str]:
        code = run(arguments)
        printed = capsys.readouterr()
        lines = [line for line in printed.err.splitlines() if not line.startswith("warning: ")]
        assert "Traceback" not in printed.err
        assert code == 0 or (1 <= len(lines) <= 3 and lines[0].startswith("error: ")), printed.err
        return code, printed.err

    return execute


@pytest.mark.parametrize(
    ("key", "code", "part"),
    [
        ("", 2, "STRIPE_API_KEY is not set"),
        ("   ", 2, "STRIPE_API_KEY is not set"),
        ("hunter2hunter2", 2, "key"),
        ("pk_test_publishable1234", 2, "publishable"),
        ("sk_test_wrong1234567890", 3, "key"),
        ("sk_test_demo\nX-Evil: 1", 2, "key"),
    ],
)
def test_invalid_key_is_rejected_and_never_printed(
    key: str, code: int, part: str, stripe: Stripe, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", key)
    monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
    got, err = command("pull", "charges", "--to", TO)
    assert got == code
    assert part in err
    assert not key.strip() or key.strip() not in err
    assert not Path("x.duckdb").exists()


def test_missing_permission_is_named(own_stripe: Stripe, monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    own_stripe.control("keys", {"key": "rk_test_customers1234", "permissions": ["rak_customer_read"]})
    monkeypatch.setenv("STRIPE_API_KEY", "rk_test_customers1234")
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    assert command("pull", "customers", "--to", TO)[0] == 0
    code, err = command("pull", "charges", "--to", TO)
    assert code == 3
    assert "rak_charge_read" in err


@pytest.mark.parametrize(
    ("base", "code"),
    [
        ("http://api.stripe.com", 2),
        ("https://user:secret@api.stripe.com", 2),
        ("ftp://127.0.0.1", 2),
        ("api.stripe.com", 2),
        ("http://192.0.2.1", 2),
    ],
)
def test_unsafe_api_base_is_rejected(base: str, code: int, monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", base)
    got, err = command("pull", "charges", "--to", TO)
    assert got == code
    assert "secret" not in err


def test_unreachable_host_is_named(monkeypatch: pytest.MonkeyPatch, command: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setenv("STRIPE_API_KEY", KEY)
        monkeypatch.setenv("STRIPE_API_BASE", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("COUNTERFOIL_RETRY_SECONDS", "0.5")
        code, err = command("pull", "charges", "--to", TO)
    assert code == 1
    assert f"127.0.0.1:{port} cannot be reached" in err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("pull", "charge"), "charges"),
        (("pull", "charges", "--since", "yesterday"), "yesterday"),
        (("pull", "charges", "--since", "2026-02-01", "--until", "2026-01-01"), "2026-01-01"),
        (("pull", "charges", "--limit", "0"), "0"),
        (("pull", "charges", "--limit", "many"), "many"),
        (("pull", "charges", "--option", "colour=red"), "colour"),
        (("pull", "charges", "--option", "colour"), "colour"),
        (("pull", "balance_transactions", "--option", "currency=dollars"), "dollars"),
        (("pull", "subscriptions", "--option", "status=dead"), "dead"),
        (("pull", "balance", "--since", "2026-01-01"), "--since"),
        (("pull", "all", "--table", "x"), "--table"),
        (("pull", "charges", "--method", "merge"), "merge"),
        (("pull", "charges", "--to", "mysql://x"), "mysql"),
        (("pull", "charges", "--to", "x.duckdb"), "duckdb:///x.duckdb"),
        (("pull", "charges", "--to", "duckdb:///"), "duckdb:///"),
        (("pull",), "REPORT"),
        (("pul", "charges"), "pull"),
        (("pull", "charges", "--too", "x"), "--too"),
        (("pull", "charges", "--table", ""), "--table"),
        (("pull", "charges", "--limit", "99999999999999999999"), "--limit"),
        (("demo", "--port", "70000"), "70000"),
        (("sandbox", "--fault-rate", "2"), "2"),
        (("sandbox", "--latency-ms", "-5"), "--latency-ms"),
        (("sandbox", "--rps", "-1"), "--rps"),
        (("sandbox", "--rps", "nan"), "--rps"),
        (("sandbox", "--scale", "0"), "--scale"),
        (("sandbox", "--port", "70000"), "70000"),
    ],
)
def test_invalid_argument_is_named(arguments: tuple[str, ...], part: str, connected: Stripe, command: Any) -> None:
    if arguments[0] == "pull" and "--to" not in arguments:
        arguments = (*arguments, "--to", TO)
    code, err = command(*arguments)
    assert code == 2
    assert part in err
    assert not Path("x.duckdb").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("COUNTERFOIL_RATE_SHARE", "2"), ("COUNTERFOIL_RATE_ENDPOINT", "fast"), ("COUNTERFOIL_CURRENCY_DIGITS", "usd=x")],
)
def test_invalid_setting_is_named(
    name: str, value: str, connected: Stripe, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.setenv(name, value)
    code, err = command("pull", "charges", "--to", TO)
    assert code == 2
    assert name in err


def _table(sql: str) -> None:
    with duckdb.connect("x.duckdb") as connection:
        connection.execute(sql)


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect("x.duckdb", read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_foreign_table_is_replaced_only_with_overwrite(connected: Stripe, command: Any) -> None:
    _table("CREATE TABLE coupons AS SELECT 42 AS mine")
    before = connected.control("requests")
    code, err = command("pull", "coupons", "--to", TO)
    assert code == 1
    assert "--overwrite" in err
    assert _rows("SELECT * FROM coupons") == [(42,)]
    assert command("pull", "coupons", "--to", TO, "--overwrite")[0] == 0
    assert _rows("SELECT count(*) > 1 FROM coupons") == [(True,)]
    assert before


def test_append_to_foreign_table_is_rejected(connected: Stripe, command: Any) -> None:
    _table("CREATE TABLE coupons AS SELECT 42 AS mine")
    for options in ((), ("--overwrite",)):
        code, err = command("pull", "coupons", "--to", TO, "--method", "append", *options)
        assert code == 1
        assert "not created by Counterfoil" in err
        assert "--overwrite" not in err
    assert _rows("SELECT * FROM coupons") == [(42,)]


def test_append_to_table_of_another_report_is_rejected(connected: Stripe, command: Any) -> None:
    assert command("pull", "coupons", "--to", TO, "--table", "mine")[0] == 0
    code, err = command("pull", "plans", "--to", TO, "--table", "mine", "--method", "append", "--overwrite")
    assert code == 1
    assert "--overwrite" not in err
    assert _rows("SELECT DISTINCT object FROM mine") == [("coupon",)]


def test_narrower_replace_requires_overwrite(connected: Stripe, command: Any) -> None:
    assert command("pull", "coupons", "--to", TO)[0] == 0
    full = _rows("SELECT count(*) FROM coupons")
    code, err = command("pull", "coupons", "--to", TO, "--limit", "1")
    assert code == 1
    assert "--overwrite" in err
    assert _rows("SELECT count(*) FROM coupons") == full
    assert command("pull", "coupons", "--to", TO, "--limit", "1", "--overwrite")[0] == 0
    assert _rows("SELECT count(*) FROM coupons") == [(1,)]
    assert command("pull", "coupons", "--to", TO)[0] == 0, "a wider replace needs no option"
    assert _rows("SELECT count(*) FROM coupons") == full


def test_replace_of_table_of_another_report_is_rejected(connected: Stripe, command: Any) -> None:
    assert command("pull", "coupons", "--to", TO, "--table", "mine")[0] == 0
    code, err = command("pull", "plans", "--to", TO, "--table", "mine")
    assert code == 1
    assert "coupons" in err
    assert _rows("SELECT DISTINCT object FROM mine") == [("coupon",)]


@pytest.mark.parametrize(
    "content", [b"no database at all, but a text of some length " * 300, b"SQLite format 3\0" * 600]
)
def test_non_database_file_is_rejected_and_left_unchanged(content: bytes, connected: Stripe, command: Any) -> None:
    Path("x.duckdb").write_bytes(content)
    code, err = command("pull", "coupons", "--to", TO)
    assert code == 1
    assert "x.duckdb" in err
    assert Path("x.duckdb").read_bytes() == content


def test_folder_instead_of_file_is_rejected(connected: Stripe, command: Any) -> None:
    Path("x.duckdb").mkdir()
    code, err = command("pull", "coupons", "--to", TO)
    assert code == 1
    assert "x.duckdb" in err


def test_missing_folder_is_named(connected: Stripe, command: Any) -> None:
    code, err = command("pull", "coupons", "--to", "duckdb:///nowhere/x.duckdb")
    assert code in (1, 2)
    assert "nowhere" in err


@pytest.fixture
def locking_process() -> Iterator[int]:
    """Another process that has the file open."""
    script = "import duckdb, sys; c = duckdb.connect('x.duckdb'); print('locked', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    yield process.pid
    process.stdin.close()
    process.wait()
    process.stdout.close()


def test_error_of_locked_file_names_the_process(
    connected: Stripe, locking_process: int, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.setenv("COUNTERFOIL_BUSY_SECONDS", "0.1")
    code, err = command("pull", "coupons", "--to", TO)
    assert code == 1
    assert str(locking_process) in err


def test_full_disk_leaves_table_unchanged(connected: Stripe, tmp_path: Path) -> None:
    """A limit on the file size simulates a full disk: the system rejects the same write."""
    command = [str(Path(sys.executable).with_name("counterfoil")), "pull", "coupons", "--to", TO]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    before = _rows("SELECT id FROM coupons")
    limited = ["bash", "-c", 'ulimit -f 64; trap "" XFSZ; exec "$@"', "bash", *command]
    limited[limited.index("coupons")] = "charges"
    done = subprocess.run(limited, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert _rows("SELECT id FROM coupons") == before


def test_unexpected_values_are_stored_and_reported_once(
    own_stripe: Stripe, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    for coupon in own_stripe.all("/v1/coupons")[:3]:
        change = {"kind": "coupon", "action": "update", "id": coupon["id"]}
        own_stripe.control("objects", {**change, "fields": {"brand_new": {"a": 1}, "times_redeemed": "many"}})
    code, err = command("pull", "coupons", "--to", TO)
    assert code == 0
    assert err.count("brand_new") == 1
    assert err.count("times_redeemed") == 1
    stored = _rows("SELECT _extra->>'$.times_redeemed', times_redeemed FROM coupons WHERE _extra IS NOT NULL")
    assert stored == [("many", None)] * 3


def test_replace_of_several_snapshots_requires_overwrite(connected: Stripe, command: Any) -> None:
    assert command("pull", "balance", "--to", TO, "--method", "append")[0] == 0
    assert command("pull", "balance", "--to", TO, "--method", "append")[0] == 0
    before = _rows("SELECT count(*) FROM balance")
    code, err = command("pull", "balance", "--to", TO)
    assert code == 1
    assert "2 loads" in err
    assert _rows("SELECT count(*) FROM balance") == before


def test_narrow_append_does_not_hide_earlier_full_load(connected: Stripe, command: Any) -> None:
    assert command("pull", "coupons", "--to", TO)[0] == 0
    assert command("pull", "coupons", "--to", TO, "--limit", "1", "--method", "append")[0] == 0
    assert command("pull", "coupons", "--to", TO, "--limit", "1")[0] == 1


def test_test_and_live_data_are_never_mixed_in_a_table(
    own_stripe: Stripe, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    own_stripe.control("keys", {"key": "sk_live_abcdefgh1234"})
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_abcdefgh1234")
    assert command("pull", "coupons", "--to", TO)[0] == 0
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    for method in ("replace", "append"):
        code, err = command("pull", "coupons", "--to", TO, "--method", method)
        assert code == 1
        assert "live data" in err


def test_pull_all_continues_after_a_rejected_table(connected: Stripe, command: Any, capsys: Any) -> None:
    assert command("pull", "coupons", "--to", TO)[0] == 0
    assert run(["pull", "all", "--since", "2026-10-25", "--to", TO, "--json"]) == 1
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["report"] for one in results if one["error"]] == ["coupons"]
    assert len(results) == len(REPORTS)


@pytest.mark.parametrize("report", ["balance", "discounts", "upcoming_invoices"])
def test_report_without_creation_time_rejects_limit(report: str, connected: Stripe, command: Any) -> None:
    code, err = command("pull", report, "--to", TO, "--limit", "5")
    assert code == 2
    assert "--limit" in err


def test_key_without_account_permission_stamps_sync_time(
    own_stripe: Stripe, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    own_stripe.control("keys", {"key": "rk_test_coupons1234", "permissions": ["rak_coupon_read"]})
    monkeypatch.setenv("STRIPE_API_KEY", "rk_test_coupons1234")
    monkeypatch.setenv("STRIPE_API_BASE", own_stripe.url)
    assert command("pull", "coupons", "--to", TO)[0] == 0
    assert _rows("SELECT DISTINCT strftime(_synced_at AT TIME ZONE 'UTC', '%Y-%m-%d') FROM coupons") == [
        ("2026-11-01",)
    ]


def test_each_run_of_a_connection_has_its_own_time(own_stripe: Stripe) -> None:
    with connect(KEY, api_base=own_stripe.url) as connection:
        connection.pull("balance", to=TO, method="append")
        own_stripe.control("advance", {"seconds": 3 * 86_400})
        connection.pull("balance", to=TO, method="append")
    days = _rows("SELECT DISTINCT strftime(_synced_at AT TIME ZONE 'UTC', '%Y-%m-%d') FROM balance ORDER BY 1")
    assert days == [("2026-11-01",), ("2026-11-04",)]


def test_archive_deleted_during_pull_is_an_error(own_stripe: Stripe, tmp_path: Path) -> None:
    def remove(progress: Progress) -> None:
        if progress.stage == "reading" and progress.rows:
            shutil.rmtree(tmp_path / "home" / "archive", ignore_errors=True)

    with connect(KEY, api_base=own_stripe.url) as connection:
        connection.pull("coupons", to=TO)
        before = _rows("SELECT count(*) FROM coupons")
        with pytest.raises(RunError):
            connection.pull("coupons", to=TO, observe=remove)
    assert _rows("SELECT count(*) FROM coupons") == before


def test_warnings_of_a_reader_are_logged(own_stripe: Stripe, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(KEY, api_base=own_stripe.url) as connection:
        assert connection.read("recipients").read_all().num_rows == 0
    assert "retired by Stripe" in capsys.readouterr().err
