"""Impossible loads are rejected before the first request to Stripe, in every interface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import counterfoil
from counterfoil.cli import run
from counterfoil.destinations.kinds import check_table_name
from stripe_sandbox import Sandbox

KEY = "sk_test_demo"
#: Options of a pull or a dataset, the exit code, and a part of the message.
INVALID = {
    "characters": (["--table", "bad table; drop"], 2, "'bad table; drop' contains ' '"),
    "length": (["--table", "t" * 64], 2, "has 64 bytes"),
    "reserved": (["--table", "_Counterfoil_loads"], 2, "reserved prefix '_counterfoil'"),
    "reserved by the loader": (
        ["--to", "dlt+duckdb:///w.duckdb", "--table", "_dlt_loads"],
        2,
        "reserved prefix '_dlt'",
    ),
    "missing folder": (["--to", "duckdb:///nowhere/x.duckdb"], 1, "nowhere"),
    "folder instead of file": (["--to", "duckdb:///lake"], 1, "lake"),
    "file instead of folder": (["--to", "parquet:///file"], 1, "file"),
    "unreachable server": (["--to", "postgresql://me@127.0.0.1:9/books?connect_timeout=1"], 1, "127.0.0.1"),
    "unknown scheme": (["--to", "duckdbb:///x"], 2, "duckdbb"),
}
#: Settings with which Counterfoil considers the disk full.
FULL = {"COUNTERFOIL_FREE_MEGABYTES": str(10**9)}


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with Sandbox(scale=0.05) as sandbox:
        yield sandbox


@pytest.fixture
def stripe(served: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A Stripe with an empty request log; the home directory has an account, and the environment a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", served.url)
    home = tmp_path / "home"
    for folder in (tmp_path, home):
        (folder / "lake").mkdir(parents=True)
        (folder / "file").write_text("text")
    assert run(["accounts", "add", "acme", "--key-env", "STRIPE_API_KEY", "--api-base", served.url]) == 0
    served.ask("requests?reset=true")
    return served


def _requests(stripe: Sandbox) -> int:
    return len(stripe.ask("requests")["last"])


@pytest.mark.parametrize("case", INVALID)
def test_pull_rejects_invalid_target_before_first_request(
    case: str, stripe: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, code, part = INVALID[case]
    assert run(["pull", "coupons", *flags]) == code
    assert part in capsys.readouterr().err
    assert _requests(stripe) == 0


@pytest.mark.parametrize("case", [name for name, (flags, _, _) in INVALID.items() if "--table" not in flags])
def test_pull_all_rejects_invalid_destination_before_first_request(
    case: str, stripe: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, code, part = INVALID[case]
    assert run(["pull", "all", *flags]) == code
    assert part in capsys.readouterr().err
    assert _requests(stripe) == 0


@pytest.mark.parametrize("case", INVALID)
def test_python_api_rejects_invalid_target_before_first_request(case: str, stripe: Sandbox) -> None:
    flags, code, part = INVALID[case]
    options = dict(zip([flag.removeprefix("--") for flag in flags[::2]], flags[1::2], strict=True))
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        for use in (connection.check, connection.pull, connection.at_stake):
            with pytest.raises(counterfoil.CounterfoilError) as caught:
                use("coupons", **options)
            assert caught.value.exit_code == code
            assert part in caught.value.message
        assert connection.requests == _requests(stripe) == 0


@pytest.mark.parametrize("case", INVALID)
def test_create_rejects_invalid_target_before_first_request(
    case: str, stripe: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, _, part = INVALID[case]
    command = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run([*command, *flags]) in (1, 2)
    assert part in capsys.readouterr().err
    assert run(["datasets", "show", "Coupons"]) == 2
    assert _requests(stripe) == 0


def test_full_disk_prevents_requests_to_stripe(
    stripe: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run(create) == 0
    stripe.ask("requests?reset=true")
    for name, value in FULL.items():
        monkeypatch.setenv(name, value)
    for command in (["pull", "coupons"], ["pull", "coupons", "--to", "parquet:///lake"], ["run", "Coupons"]):
        capsys.readouterr()
        assert run(command) == 1, command
        assert "MB of free space" in capsys.readouterr().err
    assert run([*create[:2], "Again", *create[3:], "--table", "again"]) == 2
    assert "MB of free space" in capsys.readouterr().err
    assert _requests(stripe) == 0


def test_free_space_check_can_be_disabled(stripe: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_FREE_MEGABYTES", "0")
    assert run(["pull", "coupons"]) == 0


def test_run_rejects_missing_folder_before_first_request(
    stripe: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "home" / "later"
    to.mkdir()
    command = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run([*command, "--to", "duckdb:///later/x.duckdb"]) == 0
    to.rmdir()
    stripe.ask("requests?reset=true")
    capsys.readouterr()
    assert run(["run", "Coupons"]) == 1
    assert "later" in capsys.readouterr().err
    assert _requests(stripe) == 0


def test_run_loads_valid_destination_despite_invalid_one(stripe: Sandbox, tmp_path: Path) -> None:
    later = tmp_path / "home" / "later"
    later.mkdir()
    command = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run([*command, "--to", "duckdb:///later/x.duckdb", "--to", "duckdb:///y.duckdb"]) == 0
    later.rmdir()
    run(["run", "Coupons"])
    assert (tmp_path / "home" / "y.duckdb").exists()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("duckdb:///x", "cafés"),
        ("postgresql://h/d", "t" * 63),
        ("duckdb:///x", "_own"),
        ("parquet:///x", "shop-charges"),
        ("s3://b/p", "shop-charges"),
        ("domo://ID@api.domo.com", "Charges - EU 2026"),
        ("dlt+snowflake://u@a/d", "charges_2"),
        ("duckdb:///x", "मूल्य"),
    ],
)
def test_valid_table_name_is_accepted(url: str, name: str) -> None:
    check_table_name(name, url)


@pytest.mark.parametrize(
    ("url", "name", "rule"),
    [
        ("duckdb:///x", "", "is empty"),
        ("duckdb:///x", "2026", "begins with '2'"),
        ("duckdb:///x", "shop-charges", "contains '-'"),
        ("parquet:///x", "../up", "contains '.'"),
        ("parquet:///x", "-x", "begins with '-'"),
        ("domo://ID@api.domo.com", "Charges ", "ends with ' '"),
        ("dlt+snowflake://u@a/d", "café", "contains 'é'"),
        ("postgresql://h/d", "é" * 32, "has 64 bytes"),
    ],
)
def test_invalid_table_name_is_reported_with_rule(url: str, name: str, rule: str) -> None:
    with pytest.raises(counterfoil.SettingsError) as caught:
        check_table_name(name, url)
    assert caught.value.code == "invalid_table"
    assert repr(name) in caught.value.message
    assert rule in caught.value.message
