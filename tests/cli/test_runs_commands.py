"""The commands about ended runs: facts, logs, rows, exports and rollbacks."""

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

from counterfoil.app.export.amounts import amount_text
from counterfoil.app.export.files import write_csv, write_file
from counterfoil.errors import RunError
from counterfoil.state.run import LOAD_STEP
from stripe_sandbox import Sandbox
from tests.cli.center import Center, Result

COUNTERFOIL = str(Path(sys.executable).with_name("counterfoil"))


@dataclass(frozen=True)
class History:
    """Two runs of one dataset, each followed by a run of another dataset, and the output of the first."""

    center: Center
    output: Result
    first: str
    second: str
    followers: tuple[str, ...]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    with Sandbox(scale=0.1, live=True) as sandbox:
        center = Center(tmp_path_factory.mktemp("center") / "home", sandbox.url)
        center.add("Charges", "charges")
        center.add("Later coupons", "coupons", after="Charges")
        output = center.do("run", "Charges")
        repeated = center.do("run", "Charges", "--json")
        runs = center.do("runs", "list", "--json").json
        first, second = (one["id"] for one in reversed(runs) if one["dataset"] == "Charges")
        assert [one["dataset"] for one in repeated.json] == ["Charges", "Later coupons"]
        assert repeated.json[0]["id"] == second
        followers = tuple(one["id"] for one in runs if one["dataset"] == "Later coupons")
        yield History(center, output, first, second, followers)
        center.close()


def test_run_prints_its_rows_and_the_runs_after_it(history: History) -> None:
    (count,) = history.center.rows("SELECT count(*) FROM charges")[0]
    charges, after = history.output.out.splitlines()
    assert history.output.code == 0
    assert charges.startswith(f"Charges: {count} rows read; {count} added, 0 changed, 0 deleted (")
    assert charges.endswith(f"run {history.first}")
    assert after.startswith("Later coupons: ")
    assert len(history.followers) == 2
    assert history.output.err == ""


def test_list_is_sorted_by_time_and_filtered_by_dataset_status_and_limit(history: History) -> None:
    do = history.center.do
    lines = do("runs", "list", "Charges").out.splitlines()
    assert lines[0].split() == ["run", "dataset", "trigger", "started", "took", "rows", "requests", "status"]
    newest = [line.split()[0] for line in lines[1:]]
    assert newest.index(history.second) < newest.index(history.first)
    assert {one["dataset"] for one in do("runs", "list", "--json").json} == {"Charges", "Later coupons"}
    assert len(do("runs", "list", "--limit", "1", "--json").json) == 1
    assert do("runs", "list", "--status", "skipped", "--status", "waiting", "--json").out == ""
    assert {one["trigger"] for one in do("runs", "list", "Later coupons", "--json").json} == {"after"}


def test_unknown_ids_and_names_are_rejected_with_suggestions(history: History) -> None:
    do, wrong = history.center.do, history.first[:-1] + "!"
    for command in ("show", "logs", "cancel", "rows"):
        done = do("runs", command, wrong)
        assert done.code == 2
        assert "Did you mean 20" in done.err
    assert "counterfoil runs list 'Later coupons'" in do("runs", "show", "Later coupons").err
    assert "Did you mean 'Charges'?" in do("runs", "list", "Chargs").err
    assert "Did you mean 'Charges'?" in do("run", "Chargs").err
    assert do("runs", "list", "--limit", "0").code == 2
    assert do("runs", "list", "--status", "done").code == 2
    assert do("runs", "rows", history.first, "--limit", "-1").code == 2


def test_show_prints_all_facts_of_a_run(history: History) -> None:
    shown = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in _shown(history).splitlines() if line[0] != " ")
    assert shown["run"] == history.first
    assert shown["status"] == "succeeded"
    assert shown["report"].startswith("charges, ")
    assert shown["tables"].startswith("charges of duckdb:///acme.duckdb: ")
    assert shown["archive"].endswith("MB, stored")
    assert "attempts" not in shown
    (detail,) = history.center.do("runs", "show", history.first, "--json").json
    assert detail["rows_kept"]
    assert detail["requests"] == sum(detail["requests_by_endpoint"].values()) > 1
    assert [attempt["status"] for attempt in detail["attempts"]] == ["succeeded"]
    assert not {"owner", "plan", "bookmark"} & set(detail)


def _shown(history: History) -> str:
    done = history.center.do("runs", "show", history.first)
    assert done.code == 0
    return done.out


def test_logs_prints_lines_and_following_ends_with_the_run(history: History) -> None:
    lines = history.center.do("runs", "logs", history.first, "--follow").out.splitlines()
    assert "first run" in lines[0]
    assert "Loading into charges" in lines[1]
    assert "Succeeded" in lines[-1]
    logged = history.center.do("runs", "logs", history.first, "--json").json
    assert [line["message"] for line in logged] == [line.split("  ", 2)[2].strip() for line in lines]
    assert logged[1]["fields"]["step"] == LOAD_STEP


def test_ended_run_cannot_be_canceled(history: History) -> None:
    done = history.center.do("runs", "cancel", history.first)
    assert done.code == 1
    assert f"run {history.first} has ended: succeeded" in done.err


def test_rows_are_printed_as_csv_to_pipe(history: History) -> None:
    rows = list(csv.DictReader(io.StringIO(history.center.do("runs", "rows", history.first).out)))
    loaded = history.center.rows("SELECT id, amount, amount_major, currency FROM charges")
    assert {(row["id"], int(row["amount"]), row["amount_major"]) for row in rows} == {
        (key, amount, amount_text(major, currency)) for key, amount, major, currency in loaded
    }
    some = history.center.do("runs", "rows", history.first, "--limit", "3").out
    assert [row["id"] for row in csv.DictReader(io.StringIO(some))] == [row["id"] for row in rows[:3]]


def test_rows_as_json_have_exact_decimals(history: History) -> None:
    rows = history.center.do("runs", "rows", history.first, "--json", "--limit", "5").json
    assert len(rows) == 5
    for row in rows:
        (loaded,) = history.center.rows(f"SELECT amount_major, currency FROM charges WHERE id = '{row['id']}'")
        assert row["amount_major"] == amount_text(*loaded)
        assert row["created"].endswith("+00:00")


def test_export_writes_all_rows_and_replaces_existing_file(history: History, tmp_path: Path) -> None:
    parquet, text = tmp_path / "rows.parquet", tmp_path / "rows.CSV"
    parquet.write_text("old")
    done = history.center.do("runs", "rows", history.first, "--to", str(parquet))
    table = pq.read_table(parquet)
    assert done.out == f"Wrote {table.num_rows} rows to {parquet}\n"
    assert table.num_rows == history.center.rows("SELECT count(*) FROM charges")[0][0]
    (exported,) = history.center.do("runs", "rows", history.first, "--to", str(text), "--limit", "2", "--json").json
    assert exported["rows"] == 2
    assert len(list(csv.DictReader(io.StringIO(text.read_text())))) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.CSV", "rows.parquet"]


def test_failed_export_leaves_existing_file_unchanged(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.string())])

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([["a"]], schema=schema)
        raise RunError("the part is damaged")

    (tmp_path / "rows.csv").write_text("old")
    with pytest.raises(RunError):
        write_file(pa.RecordBatchReader.from_batches(schema, batches()), tmp_path / "rows.csv")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("rows.csv", "old")]


@pytest.mark.parametrize("name", ["rows.xls", "rows", "", "nowhere/rows.csv"])
def test_invalid_export_file_is_rejected(history: History, tmp_path: Path, name: str) -> None:
    done = history.center.do("runs", "rows", history.first, "--to", str(tmp_path / name))
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".jsonl"])
def test_table_is_exported_in_the_format_of_the_suffix(history: History, tmp_path: Path, suffix: str) -> None:
    dataset = history.center.app.runs.show(history.first).dataset
    file = tmp_path / f"rows{suffix}"
    (exported,) = history.center.do("datasets", "export", dataset, str(file), "--limit", "7", "--json").json
    assert exported == {"dataset": dataset, "file": str(file), "rows": 7}
    assert file.stat().st_size > 0


def test_csv_without_rows_has_only_the_header() -> None:
    out = io.StringIO()
    write_csv(pa.table({"id": pa.array([], pa.string()), "amount": pa.array([], pa.int64())}).to_reader(), out)
    assert out.getvalue() == '"id","amount"\n'


def test_terminal_shows_first_rows_and_fitting_columns(history: History) -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "90", "COUNTERFOIL_HOME": str(history.center.home), "TERM": "xterm"}
    process = subprocess.Popen(
        [COUNTERFOIL, "runs", "rows", history.first, "--limit", "4"], stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    seen = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(controller, 65_536):
            seen += chunk
    os.close(controller)
    assert process.wait(30) == 0
    head, *rows, last = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", seen.decode()).splitlines()
    assert head.split()[:2] == ["id", "created"]
    assert len(rows) == 4
    assert all(len(line) <= 90 for line in (head, *rows))
    assert last.startswith("4 of ")


def test_revert_restores_table_of_a_run(history: History) -> None:
    center = history.center
    center.do("runs", "rows", history.first, "--to", str(center.home / "before.parquet"))
    with duckdb.connect(center.home / "acme.duckdb") as connection:
        connection.execute("DELETE FROM charges WHERE currency = 'usd'")
    done = center.do("datasets", "revert", "Charges", history.first)
    assert done.code == 0, done.err
    before = f"SELECT id FROM '{center.home}/before.parquet'"
    assert center.rows(f"({before} EXCEPT SELECT id FROM charges) UNION (SELECT id FROM charges EXCEPT {before})") == []
    (newest,) = center.do("runs", "list", "Charges", "--limit", "1", "--json").json
    assert newest["reason"].startswith(f"Rollback to run {history.first}")
    rows = center.do("runs", "rows", newest["id"])
    assert rows.code == 1
    assert f"rows of run {history.first}" in rows.err


def test_revert_to_run_of_another_dataset_is_rejected(history: History) -> None:
    done = history.center.do("datasets", "revert", "Charges", history.followers[0])
    assert done.code == 2
    assert f"run {history.followers[0]} belongs to dataset 'Later coupons'" in done.err


def test_help_of_runs_imports_no_heavy_library() -> None:
    check = """
import sys
from counterfoil.cli import run
for command in (["run"], ["runs"], ["runs", "rows"], ["serve"], ["datasets", "revert"]):
    assert run([*command, "--help"]) == 0
sys.exit(" ".join({"duckdb", "pyarrow", "dbos", "sqlalchemy", "aiohttp", "cryptography"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
