"""A separate Airflow for the tests. Airflow reads its location on import, so import this module first."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER = tempfile.TemporaryDirectory(prefix="airflow-")
DAGS = Path(FOLDER.name) / "dags"

os.environ |= {
    "AIRFLOW_HOME": FOLDER.name,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{FOLDER.name}/airflow.db",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{FOLDER.name}/logs",
}
