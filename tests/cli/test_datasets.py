"""The commands of `datasets`: their output, exit codes and stored values."""

from __future__ import annotations

import io
import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from counterfoil.app.app import open_app
from counterfoil.cli import run
from counterfoil.settings import Settings
from stripe_sandbox import Sandbox

FULL = "sk_test_demo_full_4242"

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1) as serving:
        yield serving


@pytest.fixture(scope="module")
def template_home(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the account Shop, created once and copied by each test."""
    home = tmp_path_factory.mktemp("template")
    with open_app(Settings(home=home)) as app:
        app.accounts.add("Shop", FULL, api_base=sandbox.url)
    return home


@pytest.fixture(autouse=True)
def _account(template_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(template_home, tmp_path / "home")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stdin", io.StringIO())


def _create(*arguments: str, name: str = "Charges", report: str = "charges") -> int:
    return run(["datasets", "create", name, "--account", "Shop", "--report", report, *arguments])


def _shown(name: str, capsys: Capture) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["datasets", "show", name, "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def test_create_stores_every_option(capsys: Capture) -> None:
    assert _create(name="Before") == 0
    options = """--option status=all --since 2026-01-01 --until 2026-02-01T12:00:00Z --promote plan --promote team
        --leave-out description --hash customer --method merge --to duckdb:///books.duckdb --table subs
        --zone Asia/Tokyo --after Before --retry 5 --retry-minutes 10 --retry-manual --deadline-minutes 90"""
    more = ["--schedule", "daily at 06:00", "--description", "For the board"]
    assert _create(*options.split(), *more, name="Subscriptions", report="subscriptions") == 0
    shown = _shown("Subscriptions", capsys)
    assert shown["choice"] == {
        "since": "2026-01-01T00:00:00+00:00",
        "until": "2026-02-01T12:00:00+00:00",
        "last_days": None,
        "options": {"status": "all"},
        "promoted": ["plan", "team"],
        "left_out": ["description"],
        "hashed": ["customer"],
    }
    assert (shown["method"], shown["targets"]) == ("merge", [{"url": "duckdb:///books.duckdb", "table": "subs"}])
    assert (shown["schedule"], shown["after"]["name"]) == ("daily at 06:00 in Asia/Tokyo", "Before")
    assert shown["retry"] == {"on": True, "every_minutes": 10, "attempts": 5, "manual": True}
    assert (shown["deadline_minutes"], shown["description"]) == (90, "For the board")
    assert (shown["account"]["name"], shown["account"]["mode"]) == ("Shop", "test")
    assert len(shown["outlook"]["next_times"]) == 5


def test_create_prints_next_five_runs_in_time_zone_of_schedule(capsys: Capture) -> None:
    assert _create("--schedule", "daily at 06:00", "--zone", "Asia/Tokyo") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Created: Charges, ")
    assert "charges of duckdb:///" in lines[0]
    assert sum(line.endswith(" 06:00+09:00") for line in lines) == 5
    assert "30 runs in 30 days" in lines[-1]


def test_dry_run_saves_nothing(capsys: Capture) -> None:
    assert _create("--schedule", "every 2 hours", "--dry-run") == 0
    assert capsys.readouterr().out.startswith("Dry run, not saved: Charges, ")
    assert run(["datasets", "list", "--json"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--report chargs", "report 'chargs'"),
        ("--account Unknown", "account 'Unknown'"),
        ("--option color=red", "no option 'color'"),
        ("--option color", "--option: 'color'"),
        ("--method upsert", '"upsert"'),
        ("--report balance --method merge", "'merge'"),
        ("--method partition", "requires a period"),
        ("--method partition --partition 3y", "period: '3y'"),
        ("--method merge --to parquet:///lake", "append or partition"),
        ("--since soon", "--since: 'soon'"),
        ("--since 2026-02-01 --until 2026-01-01", "--since 2026-02-01"),
        ("--last-days 3 --since 2026-01-01", "last 3 days"),
        ("--report balance --last-days 3", "Omit last days"),
        ("--schedule sometimes", "'sometimes'"),
        ("--schedule 'cron 0 0 30 2 *'", "never fires"),
        ("--schedule 'every 5 minutes'", "at least 15 minutes"),
        ("--schedule 'daily at 06:00' --zone Mars/Base", "'Mars/Base'"),
        ("--to duckdb:///gone/x.duckdb", "mkdir -p"),
        ("--to ftp:///x", "destination: ftp"),
        ("--table _counterfoil_loads", "'_counterfoil_loads'"),
        ("--retry 0", "number of attempts: 0"),
        ("--no-retry --retry 3", "--no-retry"),
        ("--deadline-minutes -1", "deadline: -1"),
        ("--after Unknown", "dataset 'Unknown'"),
        ("--leave-out id", "error: id "),
        ("--hash nothing", "column 'nothing'"),
        ("--promote [x]", "metadata key: '[x]'"),
    ],
)
def test_invalid_options_are_rejected_and_nothing_is_stored(options: str, expected: str, capsys: Capture) -> None:
    given = shlex.split(options)
    for name, value in (("--account", "Shop"), ("--report", "charges")):
        given += [] if name in given else [name, value]
    assert run(["datasets", "create", "X", *given]) == 2
    printed = capsys.readouterr()
    assert expected in printed.err.replace("\n", " ")
    assert printed.err.startswith("error: ")
    assert "Traceback" not in printed.err
    assert run(["datasets", "list", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_table_of_another_program_or_dataset_is_rejected(capsys: Capture, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "home" / "books.duckdb")) as connection:
        connection.execute("CREATE TABLE charges AS SELECT 1 AS mine")
    assert _create("--to", "duckdb:///books.duckdb") == 2
    assert "not created by Counterfoil" in capsys.readouterr().err
    assert _create("--to", "duckdb:///books.duckdb", "--table", "stripe_charges") == 0
    assert _create("--to", "duckdb:///books.duckdb", "--table", "STRIPE_CHARGES", name="Second") == 2
    assert "dataset 'Charges'" in capsys.readouterr().err


def test_edit_changes_given_options_and_empty_value_restores_default(capsys: Capture) -> None:
    _create("--since", "2026-01-01", "--hash", "customer", "--schedule", "every 2 hours", "--deadline-minutes", "9")
    assert run(["datasets", "edit", "Charges", "--since", "", "--schedule", "", "--deadline-minutes", "0"]) == 0
    edited = _shown("Charges", capsys)
    assert (edited["choice"]["since"], edited["choice"]["hashed"]) == (None, ["customer"])
    assert (edited["schedule"], edited["deadline_minutes"]) == ("manual", None)
    assert run(["datasets", "edit", "Charges", "--name", "All charges", "--no-retry"]) == 0
    assert _shown("All charges", capsys)["retry"]["on"] is False
    assert run(["datasets", "edit", "All charges"]) == 2
    assert "counterfoil datasets edit --help" in capsys.readouterr().err


def test_list_prints_one_line_per_dataset(capsys: Capture) -> None:
    assert run(["datasets", "list"]) == 0
    assert "datasets create" in capsys.readouterr().err
    _create("--schedule", "cron 0 6 * * *")
    _create(name="Refunds", report="refunds")
    run(["datasets", "pause", "Refunds", "--reason", "Year's end"])
    capsys.readouterr()
    assert run(["datasets", "list"]) == 0
    names, charges, refunds = capsys.readouterr().out.splitlines()
    assert names.split()[:3] == ["name", "report", "account"]
    assert "cron 0 6 * * * in UTC" in charges
    assert "never" in charges
    assert refunds.endswith("Year's end")


def test_pause_resume_and_reload_print_next_step(capsys: Capture) -> None:
    _create("--schedule", "daily at 06:00")
    capsys.readouterr()
    assert run(["datasets", "pause", "Charges"]) == 0
    assert "counterfoil datasets resume Charges" in capsys.readouterr().out
    assert run(["datasets", "show", "Charges"]) == 0
    assert "none (paused)" in capsys.readouterr().out
    assert run(["datasets", "resume", "Charges"]) == 0
    assert "06:00Z" in capsys.readouterr().out
    assert run(["datasets", "reload", "Charges"]) == 0
    assert "full refresh" in capsys.readouterr().out


def test_preview_prints_fitting_columns_or_whole_rows_as_json(capsys: Capture) -> None:
    _create("--leave-out", "billing_details_email")
    capsys.readouterr()
    assert run(["datasets", "preview", "Charges", "--rows", "3"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 120
    assert lines[0].split()[:3] == ["id", "created", "amount"]
    assert "first 3 rows" in printed.err
    assert run(["datasets", "preview", "Charges", "--rows", "3", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 3
    assert "billing_details_email" not in rows[0]
    assert isinstance(rows[0]["metadata"], dict)


def test_preview_requires_dataset_or_account_and_report(capsys: Capture) -> None:
    _create()
    selection = ("--account", "Shop", "--report", "coupons")
    assert run(["datasets", "preview", *selection, "--json", "--rows", "1"]) == 0
    for arguments in (
        [],
        selection[:2],
        ["Charges", *selection],
        ["Charges", "--leave-out", "email"],
        ["Charges", "--rows", "0"],
    ):
        assert run(["datasets", "preview", *arguments]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_remove_requires_yes_and_keeps_table(capsys: Capture) -> None:
    _create()
    capsys.readouterr()
    assert run(["datasets", "remove", "Charges"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert run(["datasets", "remove", "Charges", "--yes"]) == 0
    assert "Kept table" in capsys.readouterr().out
    assert run(["datasets", "show", "Charges"]) == 2


def test_control_characters_in_names_are_escaped(capsys: Capture) -> None:
    _create("--description", "\x1b[31mred [bold]x[/bold]")
    assert run(["datasets", "show", "Charges"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[bold]x[/bold]" in printed
