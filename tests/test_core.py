"""The core: what `pip install counterfoil` brings pulls and reads, and other commands say which extra they need."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import duckdb
import pytest

from counterfoil.extras import EXTRAS
from stripe_sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[1]
KEY = "sk_test_demo" + "Counterfoil4242"
#: Python that finds no module of an extra, as where it is not installed.
BARE = f"""
import sys
class Extras:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {sorted(module for modules in EXTRAS.values() for module in modules)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Extras)
"""
COMMAND = f"{BARE}from counterfoil.cli import main; main(sys.argv[1:])"


def _run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=100)


def test_an_extra_brings_the_modules_that_are_listed() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {
        module.lower().replace("_", "-"): {_name(one) for one in found}
        for module, found in packages_distributions().items()
    }
    for extra, modules in EXTRAS.items():
        wanted = {_name(line) for line in declared["optional-dependencies"][extra]} - {"counterfoil", "tzdata"}
        brought = {name for module in modules for name in names[module.replace("_", "-")]}
        assert wanted <= brought, extra
        assert not {_name(line) for line in declared["dependencies"]} & brought


def _name(line: str) -> str:
    return line.partition("[")[0].partition(">")[0].partition("<")[0].strip().lower().replace("_", "-")


def test_the_core_pulls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    with Sandbox(scale=0.02) as stripe:
        monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
        done = _run(COMMAND, "pull", "charges", "--to", f"duckdb:///{tmp_path}/core.duckdb")
        assert done.returncode == 0, done.stderr
        ids = stripe.ask("truth/charges")["ids"]
    with duckdb.connect(str(tmp_path / "core.duckdb")) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT id) FROM charges").fetchone()
    assert found == (len(ids), len(ids))


def test_the_core_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        f"{BARE}import counterfoil\n"
        "with counterfoil.connect(sys.argv[1], api_base=sys.argv[2]) as stripe:\n"
        "    print(stripe.read('customers').read_all().num_rows)"
    )
    with Sandbox(scale=0.02) as stripe:
        done = _run(code, KEY, stripe.url)
        assert done.stdout.strip() == str(len(stripe.ask("truth/customers")["ids"])), done.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "reports", "pull --help", "serve --help", "datasets --help"])
def test_help_needs_no_extra(words: str) -> None:
    done = _run(COMMAND, *words.split())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["datasets list", "serve", "demo", "run Charges", "tokens list", "worker"])
def test_a_command_says_which_extra_it_needs(words: str) -> None:
    done = _run(COMMAND, *words.split())
    assert done.returncode == 2
    assert "pip install 'counterfoil[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_postgres_destination_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    done = _run(COMMAND, "pull", "charges", "--to", "postgresql://me@localhost/books")
    assert done.returncode == 2
    assert "pip install 'counterfoil[postgres]'" in done.stderr


def test_a_saved_dataset_says_which_extra_it_needs() -> None:
    done = _run(f"{BARE}import counterfoil\ncounterfoil.run_dataset('Charges')")
    assert "SettingsError: a saved dataset needs" in done.stderr
