"""Creates a home directory with a queued, a delayed and a partly loaded run, for the test of the next version.

`python -m tests.upgrade.make_home` writes `sqlite.tar.xz` and `postgres.tar.xz` next to this file. Run it in a checkout
of a release, and commit both files with the next release.
"""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from contextlib import nullcontext
from pathlib import Path

from counterfoil.state.database import utc_now
from counterfoil.state.dataset import Retry
from tests.postgres import Server, binaries, running
from tests.runs.conftest import Center, Sandbox, held, wait_until
from tests.runs.test_kills import Processes, queued

HERE = Path(__file__).parent
SCALE = 0.02
#: Files that a killed service leaves behind and that no later process reads.
_LEFT_OUT = (".lock", ".partial", "nodes")


def make(home: Path, state_url: str | None) -> None:
    """Kills a service while it loads charges; refunds await another attempt, and customers are queued."""
    os.environ |= {"COUNTERFOIL_HOME": str(home), "COUNTERFOIL_RETRY_SECONDS": "1"}
    os.environ |= {"COUNTERFOIL_RATE_GLOBAL": "1000", "COUNTERFOIL_RATE_ENDPOINT": "1000"}
    if state_url is not None:
        os.environ["COUNTERFOIL_STATE_URL"] = state_url
    processes = Processes()
    with Sandbox(scale=SCALE) as stripe:
        center = Center(home, stripe)
        center.state.now = utc_now
        for report, method in (("charges", "merge"), ("refunds", "replace"), ("customers", "append")):
            done = center.run(center.dataset(report, method=method, retry=Retry(manual=True, every_minutes=1)))
            assert done.status == "succeeded", done.error
        center.fault("should_not_retry", "/v1/refunds", count=100)
        refunds = queued(center, "refunds")
        service = processes.start("serve")
        wait_until(lambda: center.runs.get(refunds.id).status == "waiting", 60)
        with held(center):
            charges = queued(center, "charges")
            wait_until(lambda: any("held by" in line for line in center.lines(charges)), 60)
            processes.kill(service)
        queued(center, "customers")
        print({run.dataset: run.status for run in map(center.runs.get, (charges.id, refunds.id))})
        center.state.close()
    processes.close()


def _packed(home: Path, name: str, dump: str = "") -> None:
    if dump:
        (home / "postgres.sql").write_text(dump, encoding="utf-8")
    with tarfile.open(HERE / f"{name}.tar.xz", "w:xz") as archive:
        archive.add(home, "home", filter=lambda info: None if info.name.endswith(_LEFT_OUT) else info)


def main() -> None:
    """Creates both home directories."""
    for kind in ("sqlite", "postgres"):
        server: Server | None
        with running() if kind == "postgres" else nullcontext() as server, tempfile.TemporaryDirectory() as folder:
            home = Path(folder, "home")
            url = server and f"postgresql://owner@/test?host={server.folder}"
            make(home, url)
            dump = ""
            if server is not None:
                program = binaries()
                assert program is not None
                command = [str(program / "pg_dump"), "-h", str(server.folder), "-U", "owner", "--inserts", "test"]
                dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            _packed(home, kind, dump)


if __name__ == "__main__":
    main()
