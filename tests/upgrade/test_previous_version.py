"""With a home directory of the previous version, this version finishes the runs that its killed service started."""

from __future__ import annotations

import signal
import tarfile
import uuid
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.postgres import Server
from tests.runs.conftest import Center, Sandbox, wait_until
from tests.runs.test_kills import Processes
from tests.upgrade.make_home import HERE, SCALE


def _unpacked(kind: str, to: Path) -> Path:
    with tarfile.open(HERE / f"{kind}.tar.xz") as archive:
        archive.extractall(to, filter="data")
    return to / "home"


def _restored(server: Server, dump: Path) -> str:
    """Restores a dump to a new database; returns its URL."""
    name = f"h{uuid.uuid4().hex}"
    with server.connected() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    with psycopg.connect(host=str(server.folder), user="owner", dbname=name, autocommit=True) as connection:
        lines = dump.read_text(encoding="utf-8").splitlines()
        connection.execute("\n".join(line for line in lines if not line.startswith("\\")).encode())
    return f"postgresql://owner@/{name}?host={server.folder}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_runs_started_by_previous_version_are_finished(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _unpacked(kind, tmp_path)
    monkeypatch.setenv("COUNTERFOIL_HOME", str(home))
    url = _restored(request.getfixturevalue("postgres"), home / "postgres.sql") if kind == "postgres" else None
    if url is not None:
        monkeypatch.setenv("COUNTERFOIL_STATE_URL", url)
    with Sandbox(scale=SCALE) as stripe:
        center = Center(home, stripe, state_url=url)
        processes = Processes()
        try:
            with center.state.begin() as connection:
                connection.execute(sa.text("UPDATE accounts SET api_base = :url"), {"url": stripe.url})
            begun = {run.dataset: run for run in center.runs.list() if run.status not in ("succeeded", "failed")}
            names = {center.datasets.get(dataset).name: run for dataset, run in begun.items()}
            assert {name: run.status for name, run in names.items()} == {
                "charges": "running",
                "refunds": "waiting",
                "customers": "queued",
            }
            service = processes.start("serve")
            wait_until(lambda: all(center.runs.get(run.id).status == "succeeded" for run in begun.values()), 120)
            service.send_signal(signal.SIGTERM)
            assert service.wait(30) == 0
            for name, run in names.items():
                assert [load.run for load in center.runs.loads(run.id)] == [run.id]
                assert sorted(set(center.ids(name))) == center.truth(name)
            assert center.rows("SELECT count(DISTINCT _run) FROM customers") == [(2,)]
            assert center.rows("SELECT count(*) - count(DISTINCT id) FROM charges") == [(0,)]
        finally:
            processes.close()
            center.state.close()
