"""Integrations whose engine is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from counterfoil.integrations import is_transient

#: The module, the package of the engine, and the extra that installs it.
MODULES = [
    ("airflow", "airflow", "airflow"),
    ("airflow.pull_operator", "airflow", "airflow"),
    ("dagster", "dagster", "dagster"),
    ("dagster_datasets", "dagster", "dagster"),
    ("dlt", "dlt", "dlt"),
    ("spark", "pyspark", "spark"),
]

WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[2]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
import counterfoil.integrations
assert sys.argv[2] not in sys.modules and "pyarrow" not in sys.modules
__import__(f"counterfoil.integrations.{sys.argv[1]}")
"""


@pytest.mark.parametrize(("module", "package", "extra"), MODULES)
def test_missing_engine_error_has_install_command(module: str, package: str, extra: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, module, package], capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: ")
    assert f"counterfoil.integrations.{extra} requires {package}" in last
    assert last.endswith(f"pip install 'counterfoil[{extra}]'")


def test_transient_errors_are_recognized_by_class_name() -> None:
    assert all(is_transient(kind) for kind in ("TransientError", "DestinationBusy", "RateLimited"))
    assert not any(is_transient(kind) for kind in ("KeyRejected", "RunError", "Canceled", None))
