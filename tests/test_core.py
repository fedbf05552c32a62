"""The core without extras can pull and read; other commands name the extra that they require."""

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
#: Python code that hides all modules of extras, as if they were not installed.
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


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=100)


def test_listed_modules_match_declared_extras() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {
        module.lower().replace("_", "-"): {_name(one) for one in found}
        for module, found in packages_distributions().items()
    }
    for extra, modules in EXTRAS.items():
        wanted = {_name(line) for line in declared["optional-dependencies"][extra]} - {"counterfoil", "tzdata"}
        listed = {name for module in modules for name in names[module.replace("_", "-")]}
        assert wanted <= listed, extra
        assert not {_name(line) for line in declared["dependencies"]} & listed


def _name(line: str) -> str:
    return line.partition("[")[0].partition(">")[0].partition("<")[0].strip().lower().replace("_", "-")


def test_core_can_pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    with Sandbox(scale=0.02) as stripe:
        monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
        done = _run(COMMAND, "pull", "charges", "--to", f"duckdb:///{tmp_path}/core.duckdb")
        assert done.returncode == 0, done.stderr
        ids = stripe.ask("truth/charges")["ids"]
    with duckdb.connect(str(tmp_path / "core.duckdb")) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT id) FROM charges").fetchone()
    assert found == (len(ids), len(ids))


def test_core_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        f"{BARE}import counterfoil\n"
        "with counterfoil.connect(sys.argv[1], api_base=sys.argv[2]) as stripe:\n"
        "    print(stripe.read('customers').read_all().num_rows)"
    )
    with Sandbox(scale=0.02) as stripe:
        done = _run(code, KEY, stripe.url)
        assert done.stdout.strip() == str(len(stripe.ask("truth/customers")["ids"])), done.stderr


@pytest.mark.parametrize(
    "command", ["--help", "--version", "reports", "pull --help", "serve --help", "datasets --help"]
)
def test_help_requires_no_extra(command: str) -> None:
    done = _run(COMMAND, *command.split())
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["datasets list", "serve", "demo", "run Charges", "tokens list", "worker"])
def test_command_names_missing_extra(command: str) -> None:
    done = _run(COMMAND, *command.split())
    assert done.returncode == 2
    assert "pip install 'counterfoil[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_postgres_destination_names_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    done = _run(COMMAND, "pull", "charges", "--to", "postgresql://me@localhost/books")
    assert done.returncode == 2
    assert "pip install 'counterfoil[postgres]'" in done.stderr


def test_saved_dataset_names_missing_extra() -> None:
    done = _run(f"{BARE}import counterfoil\ncounterfoil.run_dataset('Charges')")
    last = done.stderr.splitlines()[-1]
    assert "SettingsError: a saved dataset" in last
    assert "not installed" in last
