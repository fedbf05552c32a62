"""`apply` and `export`: a file of accounts and datasets, its changes and its errors."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from stripe_sandbox import Sandbox
from tests.cli.center import Center

COUPONS = """
[datasets.Coupons]
account = "acme"
report = "coupons"
"""


@pytest.fixture(scope="module")
def stripe() -> Iterator[Sandbox]:
    with Sandbox(scale=0.05) as sandbox:
        yield sandbox


@pytest.fixture
def center(tmp_path: Path, stripe: Sandbox) -> Iterator[Center]:
    opened = Center(tmp_path / "home", stripe.url)
    yield opened
    opened.close()


def write(folder: Path, text: str) -> str:
    file = folder / "counterfoil.toml"
    file.write_text(text)
    return str(file)


def test_apply_prints_changes_as_text(center: Center, tmp_path: Path) -> None:
    created = center.do("apply", write(tmp_path, COUPONS))
    assert created.code == 0, created.err
    first, *_, counts, others = created.out.splitlines()
    assert (first, counts) == ("+ dataset Coupons", "1 change, 0 unchanged")
    assert others.endswith(": account acme")
    file = write(tmp_path, f'{COUPONS}schedule = "daily at 06:00"\nhold = true\n')
    for flags, dry_run in ((("--diff",), True), ((), False)):
        *changed, counts = center.do("apply", file, *flags).out.splitlines()[:4]
        assert changed == [
            "~ dataset Coupons",
            '    schedule: (default) -> "daily at 06:00"',
            "    hold: (default) -> true",
        ]
        assert counts.startswith("1 change, 0 unchanged")
        assert ("dry run" in counts) is dry_run
    assert center.do("apply", file).out.splitlines()[0] == "0 changes, 1 unchanged"


def test_apply_prints_changes_as_json(center: Center, tmp_path: Path) -> None:
    (applied,) = center.do("apply", write(tmp_path, COUPONS), "--diff", "--json").json
    assert (applied["dry_run"], applied["others"]) == (True, ["account acme"])
    (change,) = applied["changes"]
    assert (change["kind"], change["name"], change["action"]) == ("dataset", "Coupons", "create")
    assert change["after"] == {"account": "acme", "report": "coupons", "method": "merge"}


def test_exported_file_can_be_applied(center: Center, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    center.do("apply", write(tmp_path, COUPONS))
    exported = center.do("export")
    assert exported.code == 0
    assert "not included: acme." in exported.err
    assert "sk_test" not in exported.out + exported.err
    monkeypatch.setattr("sys.stdin", io.StringIO(exported.out))
    assert center.do("apply", "-").out == "0 changes, 2 unchanged\n"


@pytest.mark.parametrize(
    ("text", "code", "error", "hint"),
    [
        (None, 2, "error: cannot read {file}: ", "counterfoil export"),
        ("[datasets", 2, "error: invalid TOML", "counterfoil docs configuration"),
        (COUPONS.replace("coupons", "coupon"), 2, "error: [datasets.Coupons]: report 'coupon'", "coupons"),
        (COUPONS.replace("acme", "other"), 2, "error: [datasets.Coupons]: account 'other'", "counterfoil accounts"),
        ('[accounts.B]\nkey = "env:REFUSED"\napi_base = "{url}"', 3, "error: [accounts.B]: ", "apikeys"),
    ],
)
def test_invalid_file_exits_with_code_and_hint(
    center: Center, tmp_path: Path, stripe: Sandbox, text: str | None, code: int, error: str, hint: str
) -> None:
    file = str(tmp_path / "missing.toml") if text is None else write(tmp_path, text.replace("{url}", stripe.url))
    done = center.do("apply", file, REFUSED="sk_test_nobody_knows_it")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(error.format(file=file))
    assert hint in done.err.splitlines()[1]
    assert "nobody_knows" not in done.err
