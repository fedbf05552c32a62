"""Connections for other engines: windows to read in parallel, and schemas without a key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import counterfoil
from counterfoil import cli
from counterfoil.app.connection import catalogue
from counterfoil.settings import load_settings
from stripe_sandbox import Sandbox
from tests.app.conftest import FULL
from tests.integrations.examples import changed, examples


def test_windows_together_contain_the_report(sandbox: Sandbox) -> None:
    with counterfoil.connect(FULL, api_base=sandbox.url) as stripe:
        windows = stripe.windows("charges", 3)
        read = [stripe.read("charges", since=one.since, until=one.until).read_all() for one in windows]
        whole = stripe.read("charges").read_all()
    assert len(windows) == 3
    assert min(one.num_rows for one in read) > whole.num_rows / 6
    ids = [key for one in read for key in one["id"].to_pylist()]
    assert sorted(ids) == sorted(whole["id"].to_pylist())


def test_windows_of_short_list_are_balanced() -> None:
    with Sandbox() as sandbox, counterfoil.connect("sk_test_demo", api_base=sandbox.url) as stripe:
        windows = stripe.windows("customers", 4)
        rows = [stripe.read("customers", since=one.since, until=one.until).read_all().num_rows for one in windows]
    assert len(rows) == 4
    assert min(rows) > sum(rows) / 8


def test_windows_cover_the_given_range(sandbox: Sandbox) -> None:
    with counterfoil.connect(FULL, api_base=sandbox.url) as stripe:
        windows = stripe.windows("balance_transactions", 2, since="2026-01-01", until=1_790_000_000)
        assert (windows[0].since, windows[-1].until) == (1_767_225_600, 1_790_000_000)
        assert windows[0].until == windows[1].since


def test_report_without_creation_time_has_one_window(sandbox: Sandbox) -> None:
    with counterfoil.connect(FULL, api_base=sandbox.url) as stripe:
        for report in ("balance", "discounts", "coupons"):
            assert stripe.windows(report, 4) == (counterfoil.Window(),)
        before = stripe.requests
        assert stripe.windows("charges", 1) == (counterfoil.Window(),)
        assert stripe.requests == before
        with pytest.raises(counterfoil.SettingsError, match="invalid count: 0"):
            stripe.windows("charges", 0)


@pytest.mark.parametrize("report", catalogue())
def test_description_has_the_schema_of_the_reader(report: str, sandbox: Sandbox) -> None:
    described = counterfoil.describe(report)
    with counterfoil.connect(FULL, api_base=sandbox.url) as stripe:
        assert stripe.read(report).schema == described.schema
    assert set(described.primary_key) <= set(described.schema.names) == set(described.comments)
    assert {described.created or "_run", *described.json_columns, "_extra"} <= set(described.schema.names)
    assert described.immutable == (report == "events")


def test_key_can_be_a_reference(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOP_KEY", FULL)
    (tmp_path / "key").write_text(f"{FULL}\n")
    for reference in ("env:SHOP_KEY", f"file:{tmp_path / 'key'}"):
        with counterfoil.connect(reference, api_base=sandbox.url) as stripe:
            assert stripe.account().id.startswith("acct_")
    with pytest.raises(counterfoil.SettingsError, match="NO_SUCH_KEY"):
        counterfoil.connect("env:NO_SUCH_KEY")


def test_processes_share_rate_limits_of_account() -> None:
    settings = load_settings()
    with counterfoil.connect(FULL, processes=4) as one, counterfoil.connect(FULL) as alone:
        assert one._settings.rate_share == settings.rate_share / 4
        assert one._settings.in_flight == settings.in_flight // 4
        assert alone._settings == settings
    with pytest.raises(counterfoil.SettingsError, match="invalid processes: 0"):
        counterfoil.connect(FULL, processes=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda stripe: stripe.windows("charges", "3"), "invalid count: '3'"),
        (lambda stripe: stripe.read("charges", limit=True), "invalid limit: True"),
        (lambda stripe: stripe.read("charges", since=1.5), "--since: 1.5"),
        (lambda stripe: stripe.read(3), "report '3'"),
        (lambda _stripe: counterfoil.connect(FULL, processes="2"), "invalid processes: '2'"),
        (lambda _stripe: counterfoil.connect(b"sk_test_secret"), "API key: type bytes"),
    ],
)
def test_argument_of_wrong_type_is_rejected(
    call: Callable[[counterfoil.Connection], object], message: str, sandbox: Sandbox
) -> None:
    with (
        counterfoil.connect(FULL, api_base=sandbox.url) as stripe,
        pytest.raises(counterfoil.SettingsError, match=message),
    ):
        call(stripe)


def test_example_of_the_documentation(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", FULL)
    (code,) = examples("Python programs")
    variables: dict[str, Any] = {}
    exec(changed(code, '"env:STRIPE_API_KEY"', f'"env:STRIPE_API_KEY", api_base="{sandbox.url}"'), variables)
    assert variables["rows"].num_rows > 0
    assert variables["rows"].schema == counterfoil.describe("charges").schema


@pytest.mark.parametrize("method", ["merge", "partition", "upsert", ""])
def test_python_and_command_line_reject_the_same_methods(
    method: str, own_sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", FULL)
    monkeypatch.setenv("STRIPE_API_BASE", own_sandbox.url)
    with counterfoil.connect(FULL, api_base=own_sandbox.url) as stripe:
        with pytest.raises(counterfoil.SettingsError) as caught:
            stripe.pull("charges", method=method)  # type: ignore[arg-type]
        assert stripe.requests == 0
    assert cli.run(["pull", "charges", "--method", method]) == caught.value.exit_code
    assert capsys.readouterr().err == f"error: {caught.value}\n  {caught.value.hint}\n"
