"""Modules for other engines, where the engine is not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from counterfoil.integrations import may_pass

#: Module, the engine's package, and the extra that brings it.
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
def test_a_missing_engine_is_said_with_how_to_install_it(module: str, package: str, extra: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, module, package], capture_output=True, text=True)
    said = done.stderr.strip().splitlines()[-1]
    wanted = f"counterfoil.integrations.{extra} needs {package}: pip install 'counterfoil[{extra}]'"
    assert said == f"ModuleNotFoundError: {wanted}"


def test_errors_that_may_pass_are_known_by_the_names_of_their_classes() -> None:
    assert [may_pass(kind) for kind in ("TransientError", "DestinationBusy", "RateLimited")] == [True, True, True]
    assert [may_pass(kind) for kind in ("KeyRejected", "RunError", "Canceled", None)] == [False, False, False, False]
