"""The commands about runs that are over: how they went, what they said, what they brought, and going back to one."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterfoil.app.export.files import write_csv, write_file
from counterfoil.errors import RunError
from counterfoil.state.run import LOAD_STEP
from stripe_sandbox import Sandbox
from tests.cli.center import Center, Done

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))


@dataclass(frozen=True)
class History:
    """Two runs of one dataset, each followed by one of another, and how the first was told."""

    center: Center
    told: Done
    first: str
    second: str
    followers: tuple[str, ...]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    with Sandbox(scale=0.1, live=True) as sandbox:
        center = Center(tmp_path_factory.mktemp("center") / "home", sandbox.url)
        center.add("Charges", "charges")
        center.add("After them", "coupons", after="Charges")
        told = center.do("run", "Charges")
        again = center.do("run", "Charges", "--json")
        runs = center.do("runs", "list", "--json").json
        first, second = (one["id"] for one in reversed(runs) if one["dataset"] == "Charges")
        assert [one["dataset"] for one in again.json] == ["Charges", "After them"]
        assert again.json[0]["id"] == second
        followers = tuple(one["id"] for one in runs if one["dataset"] == "After them")
        yield History(center, told, first, second, followers)
        center.close()


def test_run_tells_what_it_did_and_what_followed_it(history: History) -> None:
    (count,) = history.center.rows("SELECT count(*) FROM charges")[0]
    charges, after = history.told.out.splitlines()
    assert history.told.code == 0
    assert charges.startswith(f"Charges: {count} rows read; {count} added, 0 changed, 0 deleted (")
    assert charges.endswith(f"run {history.first}")
    assert after.startswith("After them: ")
    assert len(history.followers) == 2
    assert history.told.err == ""


def test_runs_are_listed_the_newest_first_and_by_dataset_status_and_number(history: History) -> None:
    do = history.center.do
    lines = do("runs", "list", "Charges").out.splitlines()
    assert lines[0].split() == ["run", "dataset", "trigger", "started", "took", "rows", "requests", "status"]
    newest = [line.split()[0] for line in lines[1:]]
    assert newest.index(history.second) < newest.index(history.first)
    assert {one["dataset"] for one in do("runs", "list", "--json").json} == {"Charges", "After them"}
    assert len(do("runs", "list", "--limit", "1", "--json").json) == 1
    assert do("runs", "list", "--status", "skipped", "--status", "waiting", "--json").out == ""
    assert {one["trigger"] for one in do("runs", "list", "After them", "--json").json} == {"after"}


def test_wrong_words_are_refused_with_what_would_be_right(history: History) -> None:
    do, wrong = history.center.do, history.first[:-1] + "!"
    for command in ("show", "logs", "cancel", "rows"):
        done = do("runs", command, wrong)
        assert done.code == 2
        assert "Did you mean 20" in done.err
    assert "its runs: counterfoil runs list 'After them'" in do("runs", "show", "After them").err
    assert "Did you mean 'Charges'?" in do("runs", "list", "Chargs").err
    assert "Did you mean 'Charges'?" in do("run", "Chargs").err
    assert do("runs", "list", "--limit", "0").code == 2
    assert do("runs", "list", "--status", "done").code == 2
    assert do("runs", "rows", history.first, "--limit", "-1").code == 2


def test_show_tells_everything_about_a_run(history: History) -> None:
    shown = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in _shown(history).splitlines() if line[0] != " ")
    assert shown["run"] == history.first
    assert shown["status"] == "succeeded"
    assert shown["reads"] == "charges, whatever its age"
    assert shown["tables"].startswith("charges of duckdb:///acme.duckdb: ")
    assert shown["archive"].endswith("MB, kept")
    assert "attempts" not in shown
    (told,) = history.center.do("runs", "show", history.first, "--json").json
    assert told["rows_kept"]
    assert told["requests"] == sum(told["requests_by_endpoint"].values()) > 1
    assert [attempt["status"] for attempt in told["attempts"]] == ["succeeded"]
    assert not {"owner", "plan", "bookmark"} & set(told)


def _shown(history: History) -> str:
    done = history.center.do("runs", "show", history.first)
    assert done.code == 0
    return done.out


def test_the_log_is_printed_and_following_one_that_is_over_ends(history: History) -> None:
    lines = history.center.do("runs", "logs", history.first, "--follow").out.splitlines()
    assert "it is the first run" in lines[0]
    assert "Loading into charges" in lines[1]
    assert "Succeeded" in lines[-1]
    told = history.center.do("runs", "logs", history.first, "--json").json
    assert [line["message"] for line in told] == [line.split("  ", 2)[2].strip() for line in lines]
    assert told[1]["fields"]["step"] == LOAD_STEP


def test_what_is_over_can_not_be_canceled(history: History) -> None:
    done = history.center.do("runs", "cancel", history.first)
    assert done.code == 1
    assert "is over: succeeded" in done.err


def test_a_pipe_gets_the_rows_as_csv(history: History) -> None:
    told = list(csv.DictReader(io.StringIO(history.center.do("runs", "rows", history.first).out)))
    loaded = history.center.rows("SELECT id, amount, amount_major::VARCHAR FROM charges")
    assert {(row["id"], int(row["amount"]), row["amount_major"]) for row in told} == set(loaded)
    some = history.center.do("runs", "rows", history.first, "--limit", "3").out
    assert [row["id"] for row in csv.DictReader(io.StringIO(some))] == [row["id"] for row in told[:3]]


def test_rows_as_json_keep_decimals_exact(history: History) -> None:
    told = history.center.do("runs", "rows", history.first, "--json", "--limit", "5").json
    assert len(told) == 5
    for row in told:
        (loaded,) = history.center.rows(
            f"SELECT amount_major::VARCHAR, epoch(created) FROM charges WHERE id = '{row['id']}'"
        )
        assert row["amount_major"] == loaded[0]
        assert row["created"].endswith("+00:00")


def test_rows_are_exported_whole_and_replace_a_file_that_is_there(history: History, tmp_path: Path) -> None:
    parquet, text = tmp_path / "rows.parquet", tmp_path / "rows.CSV"
    parquet.write_text("old")
    done = history.center.do("runs", "rows", history.first, "--to", str(parquet))
    table = pq.read_table(parquet)
    assert done.out == f"Wrote {table.num_rows} rows into {parquet}.\n"
    assert table.num_rows == history.center.rows("SELECT count(*) FROM charges")[0][0]
    (told,) = history.center.do("runs", "rows", history.first, "--to", str(text), "--limit", "2", "--json").json
    assert told["rows"] == 2
    assert len(list(csv.DictReader(io.StringIO(text.read_text())))) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.CSV", "rows.parquet"]


def test_an_export_that_breaks_off_leaves_the_earlier_file(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([["a"]], schema=schema)
        raise RunError("the part is not as it was written")

    (tmp_path / "rows.csv").write_text("old")
    with pytest.raises(RunError):
        write_file(pa.RecordBatchReader.from_batches(schema, batches()), tmp_path / "rows.csv")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("rows.csv", "old")]


@pytest.mark.parametrize("name", ["rows.xls", "rows", "", "nowhere/rows.csv"])
def test_what_can_not_be_exported_to_is_refused(history: History, tmp_path: Path, name: str) -> None:
    done = history.center.do("runs", "rows", history.first, "--to", str(tmp_path / name))
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".jsonl"])
def test_a_table_is_written_into_a_file_by_its_name(history: History, tmp_path: Path, suffix: str) -> None:
    dataset = history.center.app.runs.show(history.first).dataset
    file = tmp_path / f"rows{suffix}"
    (told,) = history.center.do("datasets", "export", dataset, str(file), "--limit", "7", "--json").json
    assert told == {"dataset": dataset, "file": str(file), "rows": 7}
    assert file.stat().st_size > 0


def test_no_rows_are_csv_of_names_alone() -> None:
    out = io.StringIO()
    write_csv(pa.table({"id": pa.array([], pa.string()), "amount": pa.array([], pa.int64())}).to_reader(), out)
    assert out.getvalue() == '"id","amount"\n'


def test_a_terminal_shows_the_first_rows_and_the_columns_that_fit(history: History) -> None:
    person, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "90", "COUNTERFOIL_HOME": str(history.center.home), "TERM": "xterm"}
    process = subprocess.Popen(
        [COUNTERFOIL, "runs", "rows", history.first, "--limit", "4"], stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(person, 65_536):
            seen += chunk
    os.close(person)
    assert process.wait(30) == 0
    head, *rows, last = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", seen.decode()).splitlines()
    assert head.split()[:2] == ["id", "created"]
    assert len(rows) == 4
    assert all(len(line) <= 90 for line in (head, *rows))
    assert last.startswith("4 of ")


def test_revert_makes_the_table_what_it_was_after_a_run(history: History) -> None:
    center = history.center
    center.do("runs", "rows", history.first, "--to", str(center.home / "before.parquet"))
    with duckdb.connect(center.home / "acme.duckdb") as connection:
        connection.execute("DELETE FROM charges WHERE currency = 'usd'")
    done = center.do("datasets", "revert", "Charges", history.first)
    assert done.code == 0, done.err
    kept = f"SELECT id FROM '{center.home}/before.parquet'"
    assert center.rows(f"({kept} EXCEPT SELECT id FROM charges) UNION (SELECT id FROM charges EXCEPT {kept})") == []
    (newest,) = center.do("runs", "list", "Charges", "--limit", "1", "--json").json
    assert newest["reason"] == f"Goes back to the run {history.first}."
    nothing = center.do("runs", "rows", newest["id"])
    assert nothing.code == 1
    assert f"Ask for the rows of {history.first}" in nothing.err


def test_a_run_of_another_dataset_is_not_gone_back_to(history: History) -> None:
    done = history.center.do("datasets", "revert", "Charges", history.followers[0])
    assert done.code == 2
    assert "but of 'After them'" in done.err


def test_help_about_runs_imports_nothing_heavy() -> None:
    check = """
import sys
from counterfoil.cli import run
for words in (["run"], ["runs"], ["runs", "rows"], ["serve"], ["datasets", "revert"]):
    assert run([*words, "--help"]) == 0
sys.exit(" ".join({"duckdb", "pyarrow", "dbos", "sqlalchemy", "aiohttp", "cryptography"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
