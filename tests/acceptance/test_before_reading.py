"""What no load could do is refused before the first request to Stripe, wherever it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import counterfoil
from counterfoil.cli import run
from counterfoil.destinations.kinds import check_table_name
from stripe_sandbox import Sandbox

KEY = "sk_test_demo"
#: Of a pull or a dataset: the flags, the exit code, and what the message names.
REFUSED = {
    "characters": (["--table", "bad table; drop"], 2, "'bad table; drop' contains ' '"),
    "length": (["--table", "t" * 64], 2, "has 64 bytes"),
    "reserved": (["--table", "_Counterfoil_loads"], 2, "reserved prefix '_counterfoil'"),
    "loader's own": (["--to", "dlt+duckdb:///w.duckdb", "--table", "_dlt_loads"], 2, "reserved prefix '_dlt'"),
    "no folder": (["--to", "duckdb:///nowhere/x.duckdb"], 1, "nowhere"),
    "a folder for a file": (["--to", "duckdb:///lake"], 1, "lake"),
    "a file for a folder": (["--to", "parquet:///file"], 1, "file"),
    "no server": (["--to", "postgresql://me@127.0.0.1:9/books?connect_timeout=1"], 1, "127.0.0.1"),
    "no destination": (["--to", "duckdbb:///x"], 2, "duckdbb"),
}
#: With these, the disk is full for Counterfoil.
FULL = {"COUNTERFOIL_FREE_MEGABYTES": str(10**9)}


@pytest.fixture(scope="module")
def serving() -> Iterator[Sandbox]:
    with Sandbox(scale=0.05) as sandbox:
        yield sandbox


@pytest.fixture
def stripe(serving: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A Stripe that counts from zero, with an account of the home's, and a key in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", serving.url)
    home = tmp_path / "home"
    for folder in (tmp_path, home):
        (folder / "lake").mkdir(parents=True)
        (folder / "file").write_text("text")
    assert run(["accounts", "add", "acme", "--key-env", "STRIPE_API_KEY", "--api-base", serving.url]) == 0
    serving.ask("requests?reset=true")
    return serving


def _asked(stripe: Sandbox) -> int:
    return len(stripe.ask("requests")["last"])


@pytest.mark.parametrize("case", REFUSED)
def test_a_pull_is_refused_before_the_first_request(
    case: str, stripe: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, code, told = REFUSED[case]
    assert run(["pull", "coupons", *flags]) == code
    assert told in capsys.readouterr().err
    assert _asked(stripe) == 0


@pytest.mark.parametrize("case", [name for name, (flags, _, _) in REFUSED.items() if "--table" not in flags])
def test_a_pull_of_all_reports_is_refused_before_the_first_request(
    case: str, stripe: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, code, told = REFUSED[case]
    assert run(["pull", "all", *flags]) == code
    assert told in capsys.readouterr().err
    assert _asked(stripe) == 0


@pytest.mark.parametrize("case", REFUSED)
def test_python_is_refused_before_the_first_request(case: str, stripe: Sandbox) -> None:
    flags, _, told = REFUSED[case]
    given = dict(zip([flag.removeprefix("--") for flag in flags[::2]], flags[1::2], strict=True))
    with counterfoil.connect(KEY, api_base=stripe.url) as connection:
        for use in (connection.check, connection.pull, connection.at_stake):
            with pytest.raises(counterfoil.CounterfoilError, match=told):
                use("coupons", **given)
        assert connection.requests == _asked(stripe) == 0


@pytest.mark.parametrize("case", REFUSED)
def test_a_dataset_is_refused_before_the_first_request(
    case: str, stripe: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    flags, _, told = REFUSED[case]
    words = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run([*words, *flags]) in (1, 2)
    assert told in capsys.readouterr().err
    assert run(["datasets", "show", "Coupons"]) == 2
    assert _asked(stripe) == 0


def test_without_free_space_nothing_is_asked_of_stripe(
    stripe: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    create = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run(create) == 0
    stripe.ask("requests?reset=true")
    for name, value in FULL.items():
        monkeypatch.setenv(name, value)
    for words in (["pull", "coupons"], ["pull", "coupons", "--to", "parquet:///lake"], ["run", "Coupons"]):
        capsys.readouterr()
        assert run(words) == 1, words
        assert "MB of free space" in capsys.readouterr().err
    assert run([*create[:2], "Again", *create[3:], "--table", "again"]) == 2
    assert "MB of free space" in capsys.readouterr().err
    assert _asked(stripe) == 0


def test_a_disk_that_can_not_be_asked_is_not_refused(stripe: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_FREE_MEGABYTES", "0")
    assert run(["pull", "coupons"]) == 0


def test_a_run_is_refused_before_the_first_request(
    stripe: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "home" / "later"
    to.mkdir()
    words = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run([*words, "--to", "duckdb:///later/x.duckdb"]) == 0
    to.rmdir()
    stripe.ask("requests?reset=true")
    capsys.readouterr()
    assert run(["run", "Coupons"]) == 1
    assert "later" in capsys.readouterr().err
    assert _asked(stripe) == 0


def test_a_run_with_one_destination_that_can_be_loaded_goes_there(stripe: Sandbox, tmp_path: Path) -> None:
    later = tmp_path / "home" / "later"
    later.mkdir()
    words = ["datasets", "create", "Coupons", "--account", "acme", "--report", "coupons"]
    assert run([*words, "--to", "duckdb:///later/x.duckdb", "--to", "duckdb:///y.duckdb"]) == 0
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
def test_a_name_that_the_destination_takes_is_taken(url: str, name: str) -> None:
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
def test_a_name_that_it_does_not_take_is_named_with_the_rule(url: str, name: str, rule: str) -> None:
    with pytest.raises(counterfoil.SettingsError) as caught:
        check_table_name(name, url)
    assert repr(name) in caught.value.message
    assert rule in caught.value.message
