"""`datasets`, as it is typed: what is printed, the exit code, and what is stored."""

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

Told = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scale=0.1) as serving:
        yield serving


@pytest.fixture(scope="module")
def made_home(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the account Shop, made once: the tests copy it."""
    home = tmp_path_factory.mktemp("made")
    with open_app(Settings(home=home)) as app:
        app.accounts.add("Shop", FULL, api_base=sandbox.url)
    return home


@pytest.fixture(autouse=True)
def _account(made_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made_home, tmp_path / "home")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stdin", io.StringIO())


def _create(*words: str, name: str = "Charges", report: str = "charges") -> int:
    return run(["datasets", "create", name, "--account", "Shop", "--report", report, *words])


def _shown(name: str, capsys: Told) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["datasets", "show", name, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_every_word_of_a_dataset_is_stored(capsys: Told) -> None:
    assert _create(name="Before") == 0
    words = """--option status=all --since 2026-01-01 --until 2026-02-01T12:00:00Z --promote plan --promote team
        --leave-out description --hash customer --method merge --to duckdb:///books.duckdb --table subs
        --zone Asia/Tokyo --after Before --retry 5 --retry-minutes 10 --retry-manual --deadline-minutes 90"""
    more = ["--schedule", "daily at 06:00", "--description", "For the board"]
    assert _create(*words.split(), *more, name="Subscriptions", report="subscriptions") == 0
    told = _shown("Subscriptions", capsys)
    assert told["choice"] == {
        "since": "2026-01-01T00:00:00+00:00",
        "until": "2026-02-01T12:00:00+00:00",
        "last_days": None,
        "options": {"status": "all"},
        "promoted": ["plan", "team"],
        "left_out": ["description"],
        "hashed": ["customer"],
    }
    assert (told["method"], told["targets"]) == ("merge", [{"url": "duckdb:///books.duckdb", "table": "subs"}])
    assert (told["schedule"], told["after"]["name"]) == ("daily at 06:00 in Asia/Tokyo", "Before")
    assert told["retry"] == {"on": True, "every_minutes": 10, "attempts": 5, "manual": True}
    assert (told["deadline_minutes"], told["description"]) == (90, "For the board")
    assert (told["account"]["name"], told["account"]["mode"]) == ("Shop", "test")
    assert len(told["outlook"]["next_times"]) == 5


def test_the_next_five_times_are_told_in_the_schedules_zone(capsys: Told) -> None:
    assert _create("--schedule", "daily at 06:00", "--zone", "Asia/Tokyo") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Created: Charges, charges into charges of duckdb:///")
    assert sum(line.endswith(" 06:00+09:00") for line in lines) == 5
    assert "30 runs in 30 days" in lines[-1]


def test_a_dry_run_saves_nothing(capsys: Told) -> None:
    assert _create("--schedule", "every 2 hours", "--dry-run") == 0
    assert capsys.readouterr().out.startswith("Nothing was saved; this would be Charges")
    assert run(["datasets", "list", "--json"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--report chargs", "There is no report 'chargs'"),
        ("--account Nobody", "There is no account 'Nobody'"),
        ("--option color=red", "no option 'color'"),
        ("--option color", "is not NAME=VALUE"),
        ("--method upsert", "Invalid value"),
        ("--report balance --method merge", "can't be 'merge'"),
        ("--method partition", "needs a period"),
        ("--method partition --partition 3y", "is not a period"),
        ("--method merge --to parquet:///lake", "can't merge"),
        ("--since soon", "--since soon is not a date"),
        ("--since 2026-02-01 --until 2026-01-01", "is not after --since 2026-02-01"),
        ("--last-days 3 --since 2026-01-01", "do not go with since"),
        ("--report balance --last-days 3", "no time of creation"),
        ("--schedule sometimes", "is not a schedule"),
        ("--schedule 'cron 0 0 30 2 *'", "never fires"),
        ("--schedule 'every 5 minutes'", "Leave at least 15 minutes"),
        ("--schedule 'daily at 06:00' --zone Mars/Base", "no time zone 'Mars/Base'"),
        ("--to duckdb:///gone/x.duckdb", "mkdir -p"),
        ("--to ftp:///x", "no destination called ftp"),
        ("--table _counterfoil_loads", "reserved prefix"),
        ("--retry 0", "can't be 0 attempts"),
        ("--no-retry --retry 3", "does not go with"),
        ("--deadline-minutes -1", "The deadline"),
        ("--after Nobody", "no dataset 'Nobody'"),
        ("--leave-out id", "neither left out nor hashed"),
        ("--hash nothing", "no column 'nothing'"),
        ("--promote [x]", "can't be a key of metadata"),
    ],
)
def test_wrong_words_are_refused_in_words_and_nothing_is_stored(words: str, says: str, capsys: Told) -> None:
    given = shlex.split(words)
    for name, value in (("--account", "Shop"), ("--report", "charges")):
        given += [] if name in given else [name, value]
    assert run(["datasets", "create", "X", *given]) == 2
    printed = capsys.readouterr()
    assert says in printed.err.replace("\n", " ")
    assert printed.err.startswith("error: ")
    assert "Traceback" not in printed.err
    assert run(["datasets", "list", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_a_table_of_somebody_elses_is_refused(capsys: Told, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "home" / "books.duckdb")) as connection:
        connection.execute("CREATE TABLE charges AS SELECT 1 AS mine")
    assert _create("--to", "duckdb:///books.duckdb") == 2
    assert "not made by Counterfoil" in capsys.readouterr().err
    assert _create("--to", "duckdb:///books.duckdb", "--table", "stripe_charges") == 0
    assert _create("--to", "duckdb:///books.duckdb", "--table", "STRIPE_CHARGES", name="Again") == 2
    assert "belongs to the dataset 'Charges'" in capsys.readouterr().err


def test_an_edit_changes_what_is_given_and_an_empty_word_takes_back(capsys: Told) -> None:
    _create("--since", "2026-01-01", "--hash", "customer", "--schedule", "every 2 hours", "--deadline-minutes", "9")
    assert run(["datasets", "edit", "Charges", "--since", "", "--schedule", "", "--deadline-minutes", "0"]) == 0
    told = _shown("Charges", capsys)
    assert (told["choice"]["since"], told["choice"]["hashed"]) == (None, ["customer"])
    assert (told["schedule"], told["deadline_minutes"]) == ("manual", None)
    assert run(["datasets", "edit", "Charges", "--name", "All charges", "--no-retry"]) == 0
    assert _shown("All charges", capsys)["retry"]["on"] is False
    assert run(["datasets", "edit", "All charges"]) == 2
    assert "nothing to change" in capsys.readouterr().err


def test_a_list_has_a_line_for_each_dataset(capsys: Told) -> None:
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


def test_a_pause_a_resume_and_a_reload_are_told(capsys: Told) -> None:
    _create("--schedule", "daily at 06:00")
    capsys.readouterr()
    assert run(["datasets", "pause", "Charges"]) == 0
    assert "counterfoil datasets resume Charges" in capsys.readouterr().out
    assert run(["datasets", "show", "Charges"]) == 0
    assert "none while it is paused" in capsys.readouterr().out
    assert run(["datasets", "resume", "Charges"]) == 0
    assert "06:00Z" in capsys.readouterr().out
    assert run(["datasets", "reload", "Charges"]) == 0
    assert "reads everything" in capsys.readouterr().out


def test_a_preview_is_a_table_of_what_fits_or_whole_rows_as_json(capsys: Told) -> None:
    _create("--leave-out", "billing_details_email")
    capsys.readouterr()
    assert run(["datasets", "preview", "Charges", "--rows", "3"]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 120
    assert lines[0].split()[:3] == ["id", "created", "amount"]
    assert "the first 3 rows" in printed.err
    assert run(["datasets", "preview", "Charges", "--rows", "3", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 3
    assert "billing_details_email" not in rows[0]
    assert isinstance(rows[0]["metadata"], dict)


def test_a_preview_needs_a_dataset_or_an_account_and_a_report(capsys: Told) -> None:
    _create()
    words = ("--account", "Shop", "--report", "coupons")
    assert run(["datasets", "preview", *words, "--json", "--rows", "1"]) == 0
    for wrong in ([], words[:2], ["Charges", *words], ["Charges", "--leave-out", "email"], ["Charges", "--rows", "0"]):
        assert run(["datasets", "preview", *wrong]) == 2
        assert capsys.readouterr().err.startswith("error: ")


def test_a_removal_needs_a_yes_and_leaves_the_table(capsys: Told) -> None:
    _create()
    capsys.readouterr()
    assert run(["datasets", "remove", "Charges"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert run(["datasets", "remove", "Charges", "--yes"]) == 0
    assert "The table stays" in capsys.readouterr().out
    assert run(["datasets", "show", "Charges"]) == 2


def test_names_can_not_steer_the_terminal(capsys: Told) -> None:
    _create("--description", "\x1b[31mred [bold]x[/bold]")
    assert run(["datasets", "show", "Charges"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[bold]x[/bold]" in printed
