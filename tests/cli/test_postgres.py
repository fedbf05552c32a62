"""Commands with tables in Postgres: what they print and keep holds no password."""

from __future__ import annotations

from pathlib import Path

from stripe_sandbox import Sandbox
from tests.cli.center import Center
from tests.postgres import Server


def test_a_dataset_is_created_and_shown(postgres: Server, tmp_path: Path) -> None:
    with Sandbox(scale=0.02) as sandbox:
        center = Center(tmp_path / "home", sandbox.url)
        url = postgres.url()
        made = center.do("datasets", "create", "C", "--account", "acme", "--report", "coupons", "--to", url)
        assert made.code == 0, made.err
        assert url in center.do("datasets", "show", "C").out
        center.close()


def test_a_pull_goes_into_postgres(postgres: Server, tmp_path: Path) -> None:
    with Sandbox(scale=0.02) as sandbox:
        center = Center(tmp_path / "home", sandbox.url)
        keys = {"STRIPE_API_KEY": "sk_test_demo", "STRIPE_API_BASE": sandbox.url}
        url = postgres.url().replace("owner@", "owner:hunter2@")
        done = center.do("pull", "coupons", "--to", url, "--json", **keys)
        assert done.code == 0, done.err
        (told,) = done.json
        assert told["destination"] == url.replace(":hunter2", "")
        assert "hunter2" not in done.out + done.err
        center.close()


def test_a_dataset_keeps_no_password(tmp_path: Path) -> None:
    with Sandbox(scale=0.02) as sandbox:
        center = Center(tmp_path / "home", sandbox.url)
        for url in ("postgresql://me:hunter2@host/x", "postgresql://me@host/x?password=hunter2"):
            done = center.do("datasets", "create", "C", "--account", "acme", "--report", "charges", "--to", url)
            assert done.code == 2
            assert "holds a password" in done.err
            assert "password=env:NAME" in done.err
            assert "hunter2" not in done.out + done.err
        center.close()
