"""What is left of pulls goes away: at once where nothing was read, after a week where nobody went on."""

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


def _left(root: Path, name: str, *, days: float) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    spool = Spool(folder / "pages.spool")
    spool.append(_page())
    spool.close()
    (root / f"{name}.lock").touch()
    for path in (*folder.iterdir(), folder, root / f"{name}.lock"):
        os.utime(path, (NOW - days * DAY,) * 2)
    return folder


def test_what_a_pull_left_is_swept_up_after_a_week(tmp_path: Path) -> None:
    old, young = _left(tmp_path, "pull-old", days=8), _left(tmp_path, "pull-young", days=6)
    sweep(tmp_path, now=NOW)
    assert not old.exists()
    assert not Path(f"{old}.lock").exists()
    assert young.exists()


def test_nothing_else_is_swept_up(tmp_path: Path) -> None:
    other = _left(tmp_path, "20260101T000000Z-abcdef", days=100)
    sweep(tmp_path, now=NOW)
    assert other.exists()


def test_a_pull_that_takes_longer_than_a_week_is_left_alone(tmp_path: Path) -> None:
    with claim(tmp_path, "pull-long") as folder:
        for path in (folder, Path(f"{folder}.lock")):
            os.utime(path, (NOW - 30 * DAY,) * 2)
        sweep(tmp_path, now=NOW)
        assert folder.exists()


def test_a_folder_of_archives_that_is_not_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere", now=NOW)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("read", [True, False])
def test_a_failure_keeps_the_folder_only_when_something_was_read(tmp_path: Path, read: bool) -> None:
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
