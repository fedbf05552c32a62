"""A Postgres server for the tests, in a temporary folder, on a Unix socket without a port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psycopg

#: Settings of a small and fast server.
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "Asia/Kolkata",
    "datestyle": "SQL, DMY",
}
#: Settings without durability.
_CARELESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
_READY = b"ready to accept connections"


def binaries() -> Path | None:
    """The folder with the newest `initdb` and `postgres`; None if there is none."""
    found = shutil.which("postgres")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: float(one.parent.name), reverse=True)
    folders = [*installed, *([Path(found).resolve().parent] if found else [])]
    return next((one for one in folders if (one / "initdb").exists() and (one / "postgres").exists()), None)


class Server:
    """One cluster with the database `test`, and its process."""

    def __init__(self, folder: Path, programs: Path, *, careless: bool, connections: int = 40) -> None:
        self.folder = folder
        self._programs = programs
        self._settings = _SETTINGS | (_CARELESS if careless else {}) | {"unix_socket_directories": str(folder)}
        self._settings["max_connections"] = str(connections)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: deque[bytes] = deque(maxlen=50)
        self._user = _user()
        if self._user is not None:
            shutil.chown(folder, self._user)
        make = ["initdb", "--auth=trust", "--username=owner", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            self._command(*make, "--no-instructions", f"--pgdata={folder}/data"), check=True, stdout=subprocess.DEVNULL
        )
        self.start()
        with self.connected("postgres") as connection:
            connection.execute("CREATE DATABASE test")

    def url(self, schema: str | None = None, *, user: str = "owner", database: str = "test") -> str:
        """The URL of a schema; without one, of a new schema."""
        schema = schema or f"s{uuid.uuid4().hex}"
        return f"postgresql://{user}@/{database}?host={self.folder}&schema={schema}"

    @contextmanager
    def connected(self, database: str = "test", user: str = "owner") -> Iterator[psycopg.Connection[Any]]:
        """An independent connection."""
        with psycopg.connect(host=str(self.folder), user=user, dbname=database, autocommit=True) as connection:
            yield connection

    def start(self) -> None:
        """Waits until the server accepts connections. Retries, since remains of a killed server can delay the start."""
        for _ in range(20):
            if self._starts():
                return
            threading.Event().wait(0.5)
        raise AssertionError(b"".join(self._log).decode())

    def _starts(self) -> bool:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        self._process = subprocess.Popen(
            self._command("postgres", "-D", f"{self.folder}/data", *settings),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert self._process.stderr
        self._ready = threading.Event()
        self._log.clear()
        self._listening = threading.Thread(target=self._listen, args=[self._process.stderr], daemon=True)
        self._listening.start()
        assert self._ready.wait(60), "the Postgres server did not start"
        return any(_READY in line for line in self._log)

    def _listen(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                self._log.append(line)
                if _READY in line:
                    self._ready.set()
        self._ready.set()

    def kill(self) -> None:
        """Kills all processes, like a power failure, except that the system still writes its buffers."""
        assert self._process
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Stops the server immediately and removes its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        assert self._process
        self._process.wait(60)
        self._listening.join(60)
        self._process = None

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._programs / program), *arguments]
        if self._user is None:
            return command
        return ["setpriv", f"--reuid={self._user}", f"--regid={self._user}", "--clear-groups", *command]


def _user() -> str | None:
    """The user that runs the server if the current user is root, which Postgres rejects; otherwise None."""
    if os.geteuid() != 0:
        return None
    names = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


@contextmanager
def running(*, careless: bool = True, connections: int = 40) -> Iterator[Server]:
    """A server for the duration of the block."""
    programs = binaries()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    server = Server(folder, programs, careless=careless, connections=connections)
    try:
        yield server
    finally:
        server.stop()
