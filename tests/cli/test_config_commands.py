"""`apply` and `export`: a file of accounts and datasets, its changes in words, and what is wrong with it."""

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
    made = Center(tmp_path / "home", stripe.url)
    yield made
    made.close()


def written(folder: Path, text: str) -> str:
    file = folder / "counterfoil.toml"
    file.write_text(text)
    return str(file)


def test_changes_are_told_in_words(center: Center, tmp_path: Path) -> None:
    made = center.do("apply", written(tmp_path, COUPONS))
    assert (made.code, made.out.splitlines()[0], made.out.splitlines()[-2:]) == (
        0,
        "+ dataset Coupons",
        ["1 change, 0 as they were.", "Not in the file, and left alone: account acme."],
    )
    file = written(tmp_path, f'{COUPONS}schedule = "daily at 06:00"\nhold = true\n')
    for flags, told in (
        (("--diff",), "1 change, 0 as they were; nothing was changed, since this is a look only."),
        ((), "1 change, 0 as they were."),
    ):
        changed = center.do("apply", file, *flags)
        assert changed.out.splitlines()[:4] == [
            "~ dataset Coupons",
            '    schedule: (as usual) -> "daily at 06:00"',
            "    hold: (as usual) -> true",
            told,
        ]
    assert center.do("apply", file).out.splitlines()[0] == "0 changes, 1 as they were."


def test_json_has_every_change(center: Center, tmp_path: Path) -> None:
    (told,) = center.do("apply", written(tmp_path, COUPONS), "--diff", "--json").json
    assert (told["dry_run"], told["others"]) == (True, ["account acme"])
    (change,) = told["changes"]
    assert (change["kind"], change["name"], change["action"]) == ("dataset", "Coupons", "create")
    assert change["after"] == {"account": "acme", "report": "coupons", "method": "merge"}


def test_what_export_prints_is_what_apply_takes(
    center: Center, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    center.do("apply", written(tmp_path, COUPONS))
    exported = center.do("export")
    assert exported.code == 0
    assert "Stored, and not in the file, is the key of acme." in exported.err
    assert "sk_test" not in exported.out + exported.err
    monkeypatch.setattr("sys.stdin", io.StringIO(exported.out))
    assert center.do("apply", "-").out == "0 changes, 2 as they were.\n"


@pytest.mark.parametrize(
    ("text", "code", "told", "hint"),
    [
        (None, 2, "error: {file} can't be read: No such file or directory", "counterfoil export prints one."),
        ("[datasets", 2, "error: The file is not TOML", "docs/configuration.md"),
        (COUPONS.replace("coupons", "coupon"), 2, "error: [datasets.Coupons]: ", "coupons"),
        (COUPONS.replace("acme", "other"), 2, "error: [datasets.Coupons]: There is no account 'other'", "accounts"),
        ('[accounts.B]\nkey = "env:REFUSED"\napi_base = "{url}"', 3, "error: [accounts.B]: ", "apikeys"),
    ],
)
def test_what_is_wrong_ends_with_its_code_and_a_way_on(
    center: Center, tmp_path: Path, stripe: Sandbox, text: str | None, code: int, told: str, hint: str
) -> None:
    file = str(tmp_path / "missing.toml") if text is None else written(tmp_path, text.replace("{url}", stripe.url))
    done = center.do("apply", file, REFUSED="sk_test_nobody_knows_it")
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(told.format(file=file))
    assert hint in done.err.splitlines()[1]
    assert "nobody_knows" not in done.err
