"""Commands with tables in Postgres: no password is printed or stored."""

from __future__ import annotations

from pathlib import Path

from stripe_sandbox import Sandbox
from tests.cli.center import Center
from tests.postgres import Server


def test_dataset_in_postgres_is_created_and_shown(postgres: Server, tmp_path: Path) -> None:
    with Sandbox(scale=0.02) as sandbox:
        center = Center(tmp_path / "home", sandbox.url)
        url = postgres.url()
        created = center.do("datasets", "create", "C", "--account", "acme", "--report", "coupons", "--to", url)
        assert created.code == 0, created.err
        assert url in center.do("datasets", "show", "C").out
        center.close()


def test_pull_into_postgres_prints_no_password(postgres: Server, tmp_path: Path) -> None:
    with Sandbox(scale=0.02) as sandbox:
        center = Center(tmp_path / "home", sandbox.url)
        keys = {"STRIPE_API_KEY": "sk_test_demo", "STRIPE_API_BASE": sandbox.url}
        url = postgres.url().replace("owner@", "owner:hunter2@")
        done = center.do("pull", "coupons", "--to", url, "--json", **keys)
        assert done.code == 0, done.err
        (pulled,) = done.json
        assert pulled["destination"] == url.replace(":hunter2", "")
        assert "hunter2" not in done.out + done.err
        center.close()


def test_destination_with_password_is_rejected(tmp_path: Path) -> None:
    with Sandbox(scale=0.02) as sandbox:
        center = Center(tmp_path / "home", sandbox.url)
        for url in ("postgresql://me:hunter2@host/x", "postgresql://me@host/x?password=hunter2"):
            done = center.do("datasets", "create", "C", "--account", "acme", "--report", "charges", "--to", url)
            assert done.code == 2
            assert "contains a password" in done.err
            assert "password=env:NAME" in done.err
            assert "hunter2" not in done.out + done.err
        center.close()
