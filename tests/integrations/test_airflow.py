"""Airflow runs datasets of a Counterfoil service, and pulls, in tasks of DAGs that run in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

import counterfoil
from stripe_sandbox import Sandbox

from . import airflow_home
from .conftest import KEY, figures
from .examples import changed, examples

pytest.importorskip("airflow", reason="Airflow is not installed: make test-integrations")

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import BaseHook

from counterfoil.integrations.airflow import CounterfoilRunOperator, RunEnded
from counterfoil.integrations.airflow.api import begin_or_join, is_over
from counterfoil.integrations.airflow.pull_operator import CounterfoilPullOperator

# A warning of a dependency of Airflow.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with")

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))
MONEY = ("amount", "amount_major")


@dataclass(frozen=True)
class Served:
    """`counterfoil serve`, as another program sees it."""

    url: str
    token: str
    home: Path


@pytest.fixture(scope="module")
def served(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served")
    environment = os.environ | {
        "COUNTERFOIL_HOME": str(home),
        "COUNTERFOIL_RATE_GLOBAL": "100000",
        "COUNTERFOIL_RATE_ENDPOINT": "100000",
        "SHOP_KEY": KEY,
    }

    def command(*arguments: str) -> str:
        return subprocess.run(
            [COUNTERFOIL, *arguments], env=environment, check=True, capture_output=True, text=True
        ).stdout

    command("accounts", "add", "Shop", "--reference", "env:SHOP_KEY", "--api-base", sandbox.url)
    for name in ("Charges", "Coupons", "Plans", "Refunds"):
        command("datasets", "create", name, "--account", "Shop", "--report", name.lower())
    command("datasets", "create", "Late charges", "--account", "Shop", "--report", "charges", "--table", "late")
    token = json.loads(command("tokens", "create", "airflow", "--json"))["token"]
    process = subprocess.Popen(
        [COUNTERFOIL, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Counterfoil ready at ")
    yield Served(line.split()[-1].split("/login?")[0], token, home)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


@pytest.fixture(scope="module", autouse=True)
def _database() -> Iterator[None]:
    subprocess.run([Path(sys.executable).with_name("airflow"), "db", "migrate"], check=True, capture_output=True)
    yield
    airflow_home.FOLDER.cleanup()


@pytest.fixture(autouse=True)
def _connections(served: Served, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, connection in {
        "COUNTERFOIL_DEFAULT": {"conn_type": "http", "host": served.url, "password": served.token},
        "REJECTED": {"conn_type": "http", "host": served.url, "password": "cf_" + "0" * 64},
        "STRIPE_DEFAULT": {"conn_type": "generic", "host": sandbox.url, "password": KEY},
    }.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))


#: A DAG in addition to those of the documentation.
POLLING = """
from airflow.sdk import DAG
from counterfoil.integrations.airflow import CounterfoilRunOperator

with DAG("polling", schedule=None):
    CounterfoilRunOperator(task_id="run", dataset="{{ 'Late' }} charges", poll_seconds=0.1, deferrable=False)
"""


@pytest.fixture(scope="module", autouse=True)
def _dags() -> None:
    """Writes the DAGs to Airflow's folder."""
    airflow_home.DAGS.mkdir()
    run, pull = examples("Airflow")
    files = {
        "polling": POLLING,
        "run": changed(run, "deferrable=True", "deferrable=True, poll_seconds=0.1"),
        "pull": pull,
    }
    for name, code in files.items():
        (airflow_home.DAGS / f"{name}.py").write_text(code)


def _done(dag: str) -> tuple[str, Any]:
    """Runs a DAG; returns the final state and the result of its task."""
    bag = BundleDagBag(str(airflow_home.DAGS), bundle_name="dags-folder", bundle_path=airflow_home.DAGS)
    assert not bag.import_errors
    (instance,) = bag.dags[dag].test().get_task_instances()
    return instance.state, instance.xcom_pull(task_ids=instance.task_id)


@pytest.mark.parametrize(
    ("dag", "dataset", "table"), [("books", "Charges", "charges"), ("polling", "Late charges", "late")]
)
def test_operator_runs_dataset_and_waits(
    dag: str, dataset: str, table: str, served: Served, stripe: counterfoil.Connection
) -> None:
    state, run = _done(dag)
    assert (state, run["status"], run["dataset"]) == ("success", "succeeded", dataset)
    whole = stripe.read("charges").read_all().to_pylist()
    assert run["rows"]["read"] == len(whole)
    with closing(duckdb.connect(served.home / "counterfoil.duckdb", read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        loaded = connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist()
    assert figures(loaded, *MONEY) == figures(whole, *MONEY)
    assert {row["_run"] for row in loaded} == {run["id"]}


def test_active_run_is_joined(sandbox: Sandbox) -> None:
    """A task that is retried after its worker died must find the run that it started."""
    connection = BaseHook.get_connection("counterfoil_default")
    sandbox.control("faults", fault="hold", path="/v1/refunds")
    try:
        first = begin_or_join(connection, "Refunds")
        assert begin_or_join(connection, "Refunds") == first
    finally:
        sandbox.control("faults", clear=True)
    done = CounterfoilRunOperator(task_id="run", dataset="Refunds", poll_seconds=0.1).execute({})
    assert done["status"] == "succeeded"


def test_failed_run_fails_task_without_retry(sandbox: Sandbox) -> None:
    sandbox.control("faults", fault="status", path="/v1/plans", status=403, count=None, error={"message": "Not this."})
    try:
        with pytest.raises(AirflowFailException, match=r"Plans.* failed.*Not this.*dashboard\.stripe\.com") as failed:
            CounterfoilRunOperator(task_id="run", dataset="Plans", poll_seconds=0.1).execute({})
    finally:
        sandbox.control("faults", clear=True)
    assert KEY not in str(failed.value)


def test_killed_task_cancels_its_run(sandbox: Sandbox) -> None:
    connection = BaseHook.get_connection("counterfoil_default")
    operator = CounterfoilRunOperator(task_id="run", dataset="Coupons")
    sandbox.control("faults", fault="hold", path="/v1/coupons")
    try:
        operator._run = run = begin_or_join(connection, "Coupons")
        operator.on_kill()
        while not is_over(connection, run):
            pass
    finally:
        sandbox.control("faults", clear=True)
    with pytest.raises(AirflowFailException, match="is canceled"):
        operator.ended({}, {"run": run})


def test_rejected_requests_fail_without_retry_and_hide_token() -> None:
    for conn_id, dataset, part in (
        ("rejected", "Charges", " 401 "),
        ("counterfoil_default", "Chargse", " 404 .*Chargse"),
    ):
        with pytest.raises(AirflowFailException, match=part) as rejected:
            CounterfoilRunOperator(task_id="run", dataset=dataset, conn_id=conn_id).execute({})
        assert "cf_" not in str(rejected.value)


def test_unreachable_service_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": 9, "password": "cf_secret"}
    monkeypatch.setenv("AIRFLOW_CONN_UNREACHABLE", json.dumps(connection))
    with pytest.raises(AirflowException, match=r"http://127\.0\.0\.1:9\b") as raised:
        CounterfoilRunOperator(task_id="run", dataset="Charges", conn_id="unreachable").execute({})
    assert not isinstance(raised.value, AirflowFailException)
    assert not is_over(BaseHook.get_connection("unreachable"), "run")


def test_trigger_stores_no_secret(served: Served) -> None:
    path, stored = RunEnded("counterfoil_default", "run_1", 5).serialize()
    assert path == "counterfoil.integrations.airflow.run_operator.RunEnded"
    assert stored == {"conn_id": "counterfoil_default", "run": "run_1", "poll_seconds": 5}


def test_pull_operator_loads_report(
    stripe: counterfoil.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    state, result = _done("refunds")
    assert state == "success"
    expected = stripe.read("refunds", since="2026-01-01").read_all().to_pylist()
    assert result["rows"] == len(expected)
    with closing(duckdb.connect("books.duckdb", read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        loaded = connection.sql("SELECT * FROM refunds").to_arrow_table().to_pylist()
    assert figures(loaded, *MONEY) == figures(expected, *MONEY)


def test_invalid_pull_fails_without_retry(tmp_path: Path) -> None:
    operator = CounterfoilPullOperator(task_id="run", report="chargse", to=f"duckdb:///{tmp_path}/books.duckdb")
    with pytest.raises(AirflowFailException, match="report 'chargse'"):
        operator.execute({})


def test_run_operator_imports_no_dependencies_of_counterfoil() -> None:
    script = "import sys, counterfoil.integrations.airflow.run_operator\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    imported = {name for name in done.stdout.split() if name.partition(".")[0] == "counterfoil"}
    needed = {"airflow", "airflow.api", "airflow.run_operator"}
    assert imported == {
        *("counterfoil", "counterfoil.errors", "counterfoil.version", "counterfoil.integrations"),
        *(f"counterfoil.integrations.{name}" for name in needed),
    }
