"""Folders of failed pulls are removed: at once without pages, otherwise after a week."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from counterfoil.archive import Spool, claim, sweep
from counterfoil.values import Page, Window

NOW = 1_800_000_000.0
DAY = 86_400


def _page() -> Page:
    return Page("/v1/charges", Window(), None, [{"id": "ch_1"}], last=False, date=1)


def _old_folder(root: Path, name: str, *, days: float) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    spool = Spool(folder / "pages.spool")
    spool.append(_page())
    spool.close()
    (root / f"{name}.lock").touch()
    for path in (*folder.iterdir(), folder, root / f"{name}.lock"):
        os.utime(path, (NOW - days * DAY,) * 2)
    return folder


def test_folder_of_a_failed_pull_is_removed_after_a_week(tmp_path: Path) -> None:
    old, young = _old_folder(tmp_path, "pull-old", days=8), _old_folder(tmp_path, "pull-young", days=6)
    sweep(tmp_path, now=NOW)
    assert not old.exists()
    assert not Path(f"{old}.lock").exists()
    assert young.exists()


def test_sweep_keeps_other_folders(tmp_path: Path) -> None:
    other = _old_folder(tmp_path, "20260101T000000Z-abcdef", days=100)
    sweep(tmp_path, now=NOW)
    assert other.exists()


def test_sweep_keeps_the_folder_of_a_running_pull(tmp_path: Path) -> None:
    with claim(tmp_path, "pull-long") as folder:
        for path in (folder, Path(f"{folder}.lock")):
            os.utime(path, (NOW - 30 * DAY,) * 2)
        sweep(tmp_path, now=NOW)
        assert folder.exists()


def test_sweep_ignores_a_missing_archive_folder(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere", now=NOW)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("read", [True, False])
def test_failed_pull_keeps_its_folder_only_with_pages(tmp_path: Path, read: bool) -> None:
    def fail() -> None:
        with claim(tmp_path, "pull-x") as folder:
            spool = Spool(folder / "pages.spool")
            if read:
                spool.append(_page())
            spool.close()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert (tmp_path / "pull-x").exists() is read
    assert not (tmp_path / "pull-x.lock").exists()
