"""Plants faults, one at a time, in a copy of the program, and runs the test that is named for each: it must turn red.

A fault is a piece of text in one file and what stands there instead; when the text is not there exactly once, the fault
does not apply, and that is an error too. `python tools/faults.py NAME…` plants those alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is broken, where, how, and who must notice."""

    name: str
    file: str
    right: str
    wrong: str
    test: str


WINDOWS = "tests/extract/test_windows.py::test_every_object_is_read_exactly_once_whatever_the_times"
RESUMED = "tests/extract/test_earlier.py::test_after_any_kills_every_object_was_kept_exactly_once"

FAULTS = (
    Fault(
        name="wrong exponent",
        file="columns/money.py",
        right="(_ZERO, 0)",
        wrong="(_ZERO, 2)",
        test="tests/columns/test_money.py::test_1050_is_what_stripe_means_by_it",
    ),
    Fault(
        name="window off by one",
        file="extract/windows.py",
        right="child = Chain(parent.since, middle, parent",
        wrong="child = Chain(parent.since, middle - 1, parent",
        test=WINDOWS,
    ),
    Fault(
        name="lost page",
        file="extract/windows.py",
        right="if more and (chain.since is None",
        wrong="if more and chain.giver is None and (chain.since is None",
        test="tests/acceptance/test_reports.py::test_the_ids_of_a_listed_report_are_those_of_a_serial_loop[charges]",
    ),
    Fault(
        name="swallowed 403",
        file="extract/listing.py",
        right="if error.status not in listing.retired or reading.answered:",
        wrong="if error.status not in {403, *listing.retired} or reading.answered:",
        test="tests/acceptance/test_refusals.py::test_a_missing_permission_is_named",
    ),
    Fault(
        name="row twice",
        file="extract/windows.py",
        right="if (since is None or row[created] >= since)",
        wrong="if (since is None or row[created] >= 0)",
        test=WINDOWS,
    ),
    Fault(
        name="cut nested list",
        file="extract/embedded.py",
        right='and embedded.get("has_more") is False',
        wrong='and embedded.get("has_more") is not None',
        test="tests/acceptance/test_reports.py::test_a_list_of_lines_has_all_of_its_lines",
    ),
    Fault(
        name="float money",
        file="columns/money.py",
        right="thousandths = pc.multiply(amounts.cast(pa.decimal128(19, 0)), factors)",
        wrong="thousandths = pc.multiply(amounts.cast(pa.float64(), safe=False), factors.cast(pa.float64()))"
        ".cast(pa.decimal128(22, 0))",
        test="tests/columns/test_money.py::test_no_amount_of_64_bits_is_rounded",
    ),
    Fault(
        name="non-atomic replace",
        file="destinations/duckdb/tables.py",
        right='TABLE main.{quoted(load.table)} ({definitions(schema)})")',
        wrong='TABLE main.{quoted(load.table)} ({definitions(schema)})")\n    cursor.commit().begin()',
        test="tests/destinations/test_conformance.py::test_parts_with_fewer_rows_than_they_say_change_nothing",
    ),
    Fault(
        name="non-atomic replace in Postgres",
        file="destinations/postgres/methods.py",
        right='return session.run(f"DELETE FROM {session.named(table)}")',
        wrong='return session.run(f"DELETE FROM {session.named(table)}") + session.run("COMMIT; BEGIN")',
        test="tests/destinations/test_conformance.py::test_parts_with_fewer_rows_than_they_say_change_nothing",
    ),
    Fault(
        name="two loads of a Postgres table at once",
        file="destinations/postgres/server.py",
        right='if session.one("SELECT pg_try_advisory_xact_lock(%s, %s)", key):',
        wrong="if key:",
        test="tests/destinations/test_postgres.py::test_a_load_that_waits_says_who_loads",
    ),
    Fault(
        name="a question of several statements",
        file="destinations/postgres/query.py",
        right="                binary=True,\n",
        wrong="                binary=False,\n",
        test="tests/destinations/test_postgres_question.py::test_what_is_no_single_select_is_refused",
    ),
    Fault(
        name="a manifest that overwrites another's",
        file="destinations/object_store/store.py",
        right='data, mode="create")',
        wrong="data)",
        test="tests/destinations/test_objects.py::"
        "test_of_two_loads_at_once_the_one_that_comes_second_counts_for_nothing_and_can_be_done_again",
    ),
    Fault(
        name="a sweep of what another load writes",
        file="destinations/object_store/tables.py",
        right="version is not None and version <= manifest.number",
        wrong="version is not None",
        test="tests/destinations/test_objects.py::"
        "test_what_a_killed_load_left_is_swept_and_what_another_writes_just_now_is_not",
    ),
    Fault(
        name="months that no partition spares",
        file="destinations/parquet/time_ranges.py",
        right="in bounds):\n            return False",
        wrong="in bounds):\n            return None",
        test="tests/destinations/test_months.py::"
        "test_a_store_has_months_too_and_fetches_none_that_a_partition_leaves_or_takes_whole",
    ),
    Fault(
        name="damaged page trusted",
        file="archive/spool.py",
        right="if _CHECKSUM.unpack(checksum)[0] != zlib",
        wrong="if _CHECKSUM.unpack(checksum)[0] == -1 != zlib",
        test="tests/archive/test_spool.py::test_with_any_byte_changed_the_frames_before_it_remain_and_no_more",
    ),
    Fault(
        name="resume forgets a gift",
        file="extract/windows.py",
        right="since = below.window.until if below else window.since",
        wrong="since = one.window.since",
        test=RESUMED,
    ),
    Fault(
        name="resume doubles a second",
        file="extract/windows.py",
        right="last_second=set(one.last_second),",
        wrong="last_second=set(),",
        test=RESUMED,
    ),
    Fault(
        name="key in a log line",
        file="logging.py",
        right='text = _SECRET.sub(lambda match: match.group(1) + "…", text)',
        wrong="pass",
        test="tests/test_log.py::test_a_secret_never_reaches_a_line",
    ),
    Fault(
        name="a revoked token works",
        file="state/tokens.py",
        right="return self.revoked_at is None and",
        wrong="return",
        test="tests/api/test_strangers.py::test_with_a_wrong_an_expired_or_a_revoked_token_every_route_is_refused",
    ),
    Fault(
        name="a token that may only read changes things",
        file="web/api/bearer.py",
        right='if found.scope == "read" and request.method not in _SAFE:',
        wrong="if False:",
        test="tests/api/test_strangers.py::test_a_token_that_may_only_read_changes_nothing",
    ),
    Fault(
        name="key of another account",
        file="state/vault.py",
        right='return f"{account}\\0{version}".encode()',
        wrong="return version.encode()",
        test="tests/state/test_vault.py::test_a_sealed_key_does_not_open_for_another_account",
    ),
    Fault(
        name="left-out value kept",
        file="columns/redact.py",
        right="result.pop(key, None)",
        wrong="result.get(key)",
        test="tests/columns/test_redact.py::test_a_place_that_is_left_out_is_gone_and_the_rest_stays",
    ),
    Fault(
        name="due time claimed twice",
        file="state/datasets.py",
        right="self._change(connection, dataset.id, next_due_at=following)\n                claimed",
        wrong="claimed",
        test="tests/state/test_claims.py::test_many_that_are_due_in_one_minute_are_claimed_in_batches_and_none_is_lost",
    ),
    # Answers that cannot be true.
    Fault(
        name="a window is not compared",
        file="extract/validation.py",
        right="(window.until is not None and newest >= window.until)",
        wrong="(False)",
        test="tests/extract/test_validation.py::test_a_page_that_cannot_answer_the_request_deviates",
    ),
    Fault(
        name="an empty page ends a list",
        file="extract/validation.py",
        right='body["has_more"] and len(ids) <= (expected.first is not None)',
        wrong="False",
        test="tests/extract/test_validation.py::test_a_page_that_cannot_answer_the_request_deviates",
    ),
    Fault(
        name="a skipped page",
        file="extract/validation.py",
        right="(not ids or ids[0] != expected.first)",
        wrong="False",
        test="tests/extract/test_validation.py::test_a_page_that_cannot_answer_the_request_deviates",
    ),
    Fault(
        name="a full page ends a list",
        file="extract/windows.py",
        right="more = has_more or full",
        wrong="more = has_more",
        test="tests/extract/test_validation.py::test_a_first_answer_that_is_wrong_loses_and_doubles_nothing",
    ),
    Fault(
        name="a lost row",
        file="extract/validation.py",
        right='if body["has_more"] and len(ids) < expected.limit:',
        wrong="if False:",
        test="tests/extract/test_validation.py::test_a_first_answer_that_is_wrong_loses_and_doubles_nothing",
    ),
    Fault(
        name="a row twice in a page",
        file="extract/validation.py",
        right="if len(set(ids)) < len(ids):",
        wrong="if False:",
        test="tests/extract/test_validation.py::test_a_page_that_cannot_answer_the_request_deviates",
    ),
    Fault(
        name="another parent's rows",
        file="extract/validation.py",
        right="if type(value := row.get(name)) is str and value not in values:",
        wrong="if False:",
        test="tests/extract/test_validation.py::test_a_page_that_cannot_answer_the_request_deviates",
    ),
    Fault(
        name="rows of another kind",
        file="extract/validation.py",
        right="if not expected.objects:",
        wrong="if True:",
        test="tests/extract/test_validation.py::test_a_page_that_cannot_answer_the_request_deviates",
    ),
    Fault(
        name="the first answer is believed",
        file="extract/validation.py",
        right="if len(deviations) < TRIES:",
        wrong="if False:",
        test="tests/extract/test_validation.py::test_a_first_answer_that_is_wrong_loses_and_doubles_nothing",
    ),
    Fault(
        name="differing answers are believed",
        file="extract/validation.py",
        right="if all(deviation.same_as(one) for one in deviations):",
        wrong="if True:",
        test="tests/extract/test_validation.py::test_different_rows_outside_of_the_window_do_not_show_that_stripe_ignores_it",
    ),
    Fault(
        name="no way around windows",
        file="extract/listing.py",
        right="if deviation.code not in TIME_CODES or",
        wrong="if deviation.code or",
        test="tests/extract/test_validation.py::test_a_list_that_ignores_its_windows_is_read_whole_as_one_chain",
    ),
    Fault(
        name="an embedded list without has_more ends",
        file="extract/embedded.py",
        right="if has_more is not False:\n            if not known",
        wrong="if has_more:\n            if not known",
        test="tests/extract/test_embedded.py::test_an_embedded_list_without_has_more_is_read_to_its_end",
    ),
    Fault(
        name="a count of entries ignored",
        file="extract/embedded.py",
        right="if type(count) is int and count != len(known):",
        wrong="if False:",
        test="tests/extract/test_embedded.py::test_an_embedded_list_that_contradicts_itself_is_an_error",
    ),
    Fault(
        name="one 404 deletes a row",
        file="extract/embedded.py",
        right="for _ in range(2):",
        wrong="for _ in range(1):",
        test="tests/extract/test_embedded.py::test_an_object_is_deleted_only_when_two_answers_say_so",
    ),
    Fault(
        name="another object's body",
        file="extract/validation.py",
        right="if id is not None and found != id:",
        wrong="if False:",
        test="tests/extract/test_embedded.py::test_a_single_object_that_is_another_is_requested_again",
    ),
    Fault(
        name="an event that says nothing",
        file="extract/event_ids.py",
        right="if kind is None or not isinstance(one, dict):",
        wrong="if False:",
        test="tests/extract/test_changes.py::test_an_event_that_does_not_say_what_changed_leads_to_a_full_refresh",
    ),
    # The Python library.
    Fault(
        name="exhausted reader gives no rows",
        file="runs/read.py",
        right='                self._end("reader_exhausted", "This reader was read to its end")\n',
        wrong="",
        test="tests/app/test_reader.py::test_reading_an_exhausted_reader_raises",
    ),
    Fault(
        name="failed reader looks read",
        file="runs/read.py",
        right='self._end("reader_failed", ',
        wrong="print(",
        test="tests/app/test_reader.py::test_a_reading_that_failed_does_not_look_like_an_end",
    ),
    Fault(
        name="reading after close",
        file="app/connection.py",
        right="        if self._closed:\n",
        wrong="        if False:\n",
        test="tests/app/test_reader.py::test_reading_after_the_connection_closed_raises",
    ),
    Fault(
        name="file lock ignored",
        file="file_locks.py",
        right="    except Timeout:\n        return None\n",
        wrong="    except Timeout:\n        return lock\n",
        test="tests/test_file_locks.py::test_a_killed_process_is_named_while_it_lives_and_leaves_its_lock_free",
    ),
    Fault(
        name="request to Domo not stopped",
        file="destinations/domo/client.py",
        right="run(exchange(data), check=self.check)",
        wrong="run(exchange(data))",
        test="tests/destinations/test_domo_failures.py::"
        "test_a_load_is_stopped_while_domo_says_nothing_and_leaves_nothing",
    ),
    Fault(
        name="fork breaks the parent",
        file="http/async_bridge.py",
        right="        inherited.detach()\n",
        wrong="        pass\n",
        test="tests/app/test_reader.py::test_a_forked_child_says_why_it_can_not_use_a_connection_and_opens_its_own",
    ),
    Fault(
        name="key in a pickle",
        file="stripe/key.py",
        right="def __reduce__(self) -> NoReturn:",
        wrong="def _reduce(self) -> NoReturn:",
        test="tests/app/test_reader.py::test_what_holds_a_key_is_not_pickled_nor_copied",
    ),
    Fault(
        name="any name is public",
        file="__init__.py",
        right="if not TYPE_CHECKING:  # for",
        wrong="if True:  # for",
        test="tests/test_public_names.py::test_a_users_program_is_type_checked_strictly",
    ),
    Fault(
        name="two full stops",
        file="errors.py",
        right="return f\"{self.message.rstrip('.')}.\"",
        wrong='return f"{self.message}."',
        test="tests/test_errors.py::test_a_message_has_one_full_stop_in_a_sentence_and_none_before_its_context",
    ),
    Fault(
        name="anything missing is a deleted parent",
        file="extract/by_parent.py",
        right='if error.code != "resource_missing" or error.param != parents.param:',
        wrong='if error.code != "resource_missing":',
        test="tests/extract/test_of_parents.py::test_another_refusal_is_no_deleted_parent",
    ),
    Fault(
        name="any table name",
        file="table_names.py",
        right="        if broken:\n",
        wrong="        if broken and not name:\n",
        test="tests/acceptance/test_before_reading.py::test_a_pull_is_refused_before_the_first_request",
    ),
    Fault(
        name="destination checked late",
        file="app/connection.py",
        right="            check_destination(destination, to, table, relative_to=place, settings=settings)\n",
        wrong="",
        test="tests/acceptance/test_before_reading.py::test_python_is_refused_before_the_first_request",
    ),
    Fault(
        name="run checked late",
        file="runs/attempt.py",
        right="            self._destinations.check(dataset)\n",
        wrong="",
        test="tests/acceptance/test_before_reading.py::test_a_run_is_refused_before_the_first_request",
    ),
    Fault(
        name="full disk not noticed",
        file="free_space.py",
        right="free < megabytes else None",
        wrong="free < 0 else None",
        test="tests/acceptance/test_before_reading.py::test_without_free_space_nothing_is_asked_of_stripe",
    ),
    Fault(
        name="interrupted imports",
        file="cli/__init__.py",
        right="        interrupts.end_at_once()\n",
        wrong="        interrupts.interrupt_the_command()\n",
        test="tests/cli/test_interrupts.py::test_ctrl_c_during_an_import_prints_no_traceback",
    ),
    Fault(
        name="lost output not reported",
        file="cli/terminal/process.py",
        right="        code = code or 1\n",
        wrong="        code = code or 0\n",
        test="tests/cli/test_interrupts.py::test_output_that_goes_nowhere_prints_no_traceback",
    ),
    # Columns, keys, merges and the parsing of answers.
    Fault(
        name="kind takes the object's",
        file="extract/union.py",
        right='one["_kind"] = kind',
        wrong='one["kind"] = one["_kind"] = kind',
        test="tests/extract/test_shapes.py::test_objects_own_kind_stays_beside_ours",
    ),
    Fault(
        name="bucket takes the entry's",
        file="extract/singleton.py",
        right='{**beside, **entry, "_bucket": bucket.bucket,',
        wrong='{**beside, **entry, "bucket": "", "_bucket": bucket.bucket,',
        test="tests/extract/test_shapes.py::test_balance_entries_own_bucket_and_state_stay_beside_ours",
    ),
    Fault(
        name="lines by id alone",
        file="reports/lists/embedded.py",
        right='primary_key=("invoice", "id")',
        wrong='primary_key=("id",)',
        test="tests/extract/test_shapes.py::test_lines_of_two_invoices_with_one_identifier_are_two_rows",
    ),
    Fault(
        name="key not in the layout",
        file="runs/plans/dataset_plan.py",
        right="if len(report.primary_key) > 1:",
        wrong="if len(report.primary_key) > 9:",
        test="tests/runs/test_layout.py::test_only_the_reports_whose_layout_changed_are_refreshed",
    ),
    Fault(
        name="layout of now in an old plan",
        file="runs/plans/dataset_plan.py",
        right='"columns": self.layout,',
        wrong='"columns": _layout(report_of(self.report), self.choice),',
        test="tests/runs/test_layout.py::test_run_that_an_earlier_version_planned_is_followed_by_a_full_refresh",
    ),
    Fault(
        name="no values by the earlier name",
        file="columns/flatten.py",
        right="arrays[index] = arrays[names.index(column.copy_of)]",
        wrong="pass",
        test="tests/columns/test_flatten.py::test_column_has_its_values_under_its_earlier_name_too_and_the_objects_own_stays",
    ),
    Fault(
        name="deleted objects make no row",
        file="destinations/keys.py",
        right='if load.deleted == "drop" or OBJECT not in names:',
        wrong="if True:",
        test="tests/destinations/test_merge.py::test_object_that_is_first_seen_deleted_is_a_marked_row",
    ),
    Fault(
        name="notices make rows",
        file="destinations/keys.py",
        right='AND {alias}{quoted(OBJECT)} IS NULL)"',
        wrong='AND {alias}{quoted(OBJECT)} IS NOT NULL)"',
        test="tests/destinations/test_merge.py::test_a_notice_of_deletion_never_takes_the_place_of_values",
    ),
    Fault(
        name="marked row replaced in Postgres",
        file="destinations/postgres/merge.py",
        right="AND NOT matched.same AND NOT matched.gone",
        wrong="AND NOT matched.same",
        test="tests/destinations/test_merge.py::test_object_that_is_first_seen_deleted_is_a_marked_row",
    ),
    Fault(
        name="deleted objects make no row in a warehouse",
        file="destinations/warehouse/methods.py",
        right='done = f"{gone} AND {in_table}" if shown else gone',
        wrong="done = gone",
        test="tests/destinations/test_merge.py::test_object_that_is_first_seen_deleted_is_a_marked_row",
    ),
    Fault(
        name="wide at sign is safe",
        file="app/export/formulas.py",
        right=', "\\uff20")',
        wrong=")",
        test="tests/app/test_formulas.py",
    ),
    Fault(
        name="long integers become floats",
        file="stripe/json_body.py",
        right="if not _has_long_number(body):",
        wrong="if True:",
        test="tests/stripe/test_json_body.py::test_integers_keep_every_digit",
    ),
    Fault(
        name="illegible identifier altered",
        file="stripe/json_body.py",
        right='if name == "id" and isinstance',
        wrong='if name == "" and isinstance',
        test="tests/stripe/test_json_body.py::test_identifier_that_is_not_text_is_an_error",
    ),
    Fault(
        name="infinity is a number",
        file="stripe/json_body.py",
        right="return value if math.isfinite(value) else",
        wrong="return value if True else",
        test="tests/stripe/test_json_body.py::test_value_that_text_cannot_hold_is_escaped_in_its_place",
    ),
    Fault(
        name="spool rounds integers",
        file="archive/spool.py",
        right='_exact(plain) if header.get("exact") else',
        wrong='_exact(plain) if header.get("never") else',
        test="tests/archive/test_spool.py::test_integers_beyond_64_bits_and_deep_objects_are_read_back_as_they_were",
    ),
    Fault(
        name="escaped value without a warning",
        file="columns/flatten.py",
        right="if any(text is not None and _MARK in text for text in texts):",
        wrong="if not texts:",
        test="tests/columns/test_flatten.py::test_escaped_value_is_kept_and_its_column_named",
    ),
    # Reports, views of the latest snapshot, examples and their recounts.
    Fault(
        name="canceled subscriptions missing",
        file="reports/lists/billing.py",
        right='params={"status": "all"}, ',
        wrong="",
        test="tests/acceptance/test_reports.py::test_each_subscription_item_has_its_subscription_in_all_subscriptions",
    ),
    Fault(
        name="reference of items unchecked",
        file="proof/check_selection.py",
        right="or reference.column not in intact:",
        wrong='or reference.column not in intact or types[reference.column] != "id":',
        test="tests/proof/test_runs.py"
        "::test_subscription_items_lead_to_all_subscriptions_and_a_lost_canceled_one_is_found",
    ),
    Fault(
        name="plan undeclared",
        file="columns/stripe_columns.json",
        right='["plan", "json", "plan"],\n',
        wrong="",
        test="tests/acceptance/test_reports.py::test_pull_all_makes_a_table_of_each_report",
    ),
    Fault(
        name="view of a stale snapshot",
        file="destinations/duckdb/latest.py",
        right="tables.forget(cursor, name, LATEST)",
        wrong="pass",
        test="tests/destinations/test_latest.py::test_an_empty_snapshot_shows_no_rows[duckdb]",
    ),
    Fault(
        name="someone's view replaced",
        file="destinations/postgres/latest.py",
        right="return is_ours(session.one(",
        wrong="return bool(session.one(",
        test="tests/destinations/test_latest.py"
        "::test_what_has_the_views_name_and_is_not_ours_is_never_overwritten[postgres-VIEW]",
    ),
    Fault(
        name="name in a WITH taken for a table",
        file="destinations/query_check.py",
        right='given |= {same_name(part["key"])}',
        wrong="pass",
        test="tests/destinations/test_latest.py::test_what_a_question_adds_up_is_what_it_names_and_tells_no_runs_of",
    ),
    Fault(
        name="snapshots added in silence",
        file="app/tables.py",
        right="if runs > 1:",
        wrong="if runs > 2:",
        test="tests/web/test_ask.py::test_a_question_that_adds_up_several_runs_is_answered_with_a_warning",
    ),
    Fault(
        name="authorizations as revenue",
        file="web/examples.py",
        right="AND captured AND",
        wrong="AND",
        test="tests/acceptance/test_examples.py::test_an_example_of_the_page_gives_what_a_recount_finds",
    ),
    Fault(
        name="months of the reader's zone",
        file="cli/demo/once.py",
        right="created AT TIME ZONE 'UTC'",
        wrong="created",
        test="tests/acceptance/test_examples.py::test_a_question_of_the_demo_gives_what_a_recount_finds",
    ),
    # The Stripe client: retries, answers, bodies, clocks.
    Fault(
        name="retries counted, not timed",
        file="stripe/retries.py",
        right="most = () if backoff.tries is None else (tenacity.stop_after_attempt(backoff.tries),)",
        wrong="most = (tenacity.stop_after_attempt(backoff.tries or 6),)",
        test="tests/stripe/test_retries.py::test_an_outage_shorter_than_the_budget_is_outlasted",
    ),
    Fault(
        name="Retry-After ignored",
        file="stripe/retries.py",
        right="return 0.0 if failure is None else failure.retry_after",
        wrong="return 0.0",
        test="tests/stripe/test_retries.py::test_retry_after_is_the_least_wait",
    ),
    Fault(
        name="hanging try not capped",
        file="stripe/retries.py",
        right="return min(TOTAL_SECONDS, max(self.seconds - self.spent, least))",
        wrong="return TOTAL_SECONDS",
        test="tests/stripe/test_retries.py::test_a_try_late_in_the_budget_has_five_seconds",
    ),
    Fault(
        name="wrong address for minutes",
        file="stripe/retries.py",
        right="stranger = failure is not None and",
        wrong="stranger = False and failure is not None and",
        test="tests/stripe/test_retries.py::test_a_host_that_never_answered_like_stripe_is_given_up_soon",
    ),
    Fault(
        name="turn counted as time",
        file="stripe/client.py",
        right="        permit = await limiter.acquire(request.endpoint)\n        budget.start()\n",
        wrong="        budget.start()\n        permit = await limiter.acquire(request.endpoint)\n",
        test="tests/stripe/test_stripe_client.py::test_the_wait_for_a_turn_takes_no_time_of_the_retries",
    ),
    Fault(
        name="206 accepted",
        file="stripe/responses.py",
        right="if reply.status == 200:",
        wrong="if 200 <= reply.status < 300:",
        test="tests/stripe/test_stripe_client.py::test_every_answer_has_its_reaction[206]",
    ),
    Fault(
        name="408 final",
        file="stripe/responses.py",
        right="frozenset({408, 409,",
        wrong="frozenset({409,",
        test="tests/stripe/test_stripe_client.py::test_every_answer_has_its_reaction[408]",
    ),
    Fault(
        name="error behind 200 accepted",
        file="stripe/responses.py",
        right='if "error" in body and "object" not in body:',
        wrong='if "error" in body and "object" in body:',
        test="tests/stripe/test_stripe_client.py::test_every_answer_has_its_reaction[an error behind 200]",
    ),
    Fault(
        name="redirect taken for a refusal",
        file="stripe/responses.py",
        right="_REDIRECTS = frozenset({301, 302, 303, 307, 308})",
        wrong="_REDIRECTS = frozenset({301, 302, 303})",
        test="tests/stripe/test_stripe_client.py::test_every_answer_has_its_reaction[a redirect that explains itself]",
    ),
    Fault(
        name="answer without a date",
        file="stripe/responses.py",
        right="if date is None or date <= 0:",
        wrong="if date is None:\n        date = 1\n    if date <= 0:",
        test="tests/stripe/test_stripe_client.py::test_an_answer_without_a_valid_date_is_not_accepted",
    ),
    Fault(
        name="any object is the account",
        file="stripe/client.py",
        right=', wanted="account")',
        wrong=")",
        test="tests/stripe/test_stripe_client.py::test_only_an_account_with_its_id_tells_the_account",
    ),
    Fault(
        name="one wrong date believed",
        file="stripe/client.py",
        right="return median_low(dates) if dates else 0",
        wrong="return max(dates, default=0)",
        test="tests/stripe/test_stripe_client.py::test_one_wrong_date_does_not_change_the_time",
    ),
    Fault(
        name="cancelled request not counted",
        file="stripe/client.py",
        right="self.requests[request.endpoint] += 1  # on its way by then",
        wrong="pass",
        test="tests/stripe/test_stripe_client.py::test_a_cancelled_request_gives_its_slot_back",
    ),
    Fault(
        name="withdrawn request keeps its slot",
        file="stripe/limiter.py",
        right="self._limits.withdraw(endpoint, self._clock())",
        wrong="pass",
        test="tests/stripe/test_stripe_rates.py::test_a_waiter_cancelled_when_it_is_admitted_gives_back_slot_and_token",
    ),
    Fault(
        name="withdrawn request keeps its token",
        file="stripe/rates.py",
        right="gate.bucket.give_back()",
        wrong="pass",
        test="tests/stripe/test_stripe_rates.py::test_a_withdrawn_request_gives_back_its_slot_and_its_token",
    ),
    Fault(
        name="bomb unpacked",
        file="http/transport.py",
        right="member.decompress(rest, most - len(whole) + 1)",
        wrong="member.decompress(rest)",
        test="tests/stripe/test_response_bodies.py::test_a_bomb_is_not_unpacked_beyond_the_limit",
    ),
    Fault(
        name="only the first member",
        file="http/transport.py",
        right='rest = member.unused_data.lstrip(b"\\0")  # padding',
        wrong='rest = b""',
        test="tests/stripe/test_response_bodies.py::test_a_body_may_be_packed_in_several_members",
    ),
    Fault(
        name="half a member accepted",
        file="http/transport.py",
        right="if not member.eof:",
        wrong="if not body:",
        test="tests/stripe/test_response_bodies.py::test_a_damaged_packed_body_is_transient",
    ),
    Fault(
        name="wire without a limit",
        file="http/transport.py",
        right="        if size > most:\n            raise _TooLarge\n        chunks.append(chunk)",
        wrong="        chunks.append(chunk)",
        test="tests/stripe/test_response_bodies.py::test_a_body_over_the_limit_fails_at_once_and_names_limit_and_setting",
    ),
    Fault(
        name="later clock believed",
        file="runs/clocks.py",
        right="return min(self.stripe, self.ours)",
        wrong="return max(self.stripe, self.ours)",
        test="tests/runs/test_clocks.py::test_objects_created_while_stripes_clock_was_ahead_are_not_lost",
    ),
    Fault(
        name="bookmark moves back",
        file="runs/attempt.py",
        right="                clocks.check_bookmark(dataset.bookmark, dataset.name)\n",
        wrong="",
        test="tests/runs/test_clocks.py::test_a_run_whose_clock_went_back_fails_and_a_reload_helps",
    ),
    Fault(
        name="clock warning lost",
        file="runs/attempt.py",
        right="(*plan.warnings, *known, *warnings)",
        wrong="warnings",
        test="tests/runs/test_clocks.py::test_a_clock_of_ours_that_is_ahead_changes_nothing_but_is_a_warning",
    ),
    Fault(
        name="retry holds up a cancel",
        file="runs/attempt.py",
        right='_waited(partial(client.get, "/v1/events", {"limit": 1, "type": events[0].type}), cancellation)',
        wrong='wait_for(client.get("/v1/events", {"limit": 1, "type": events[0].type}))',
        test="tests/runs/test_stopping.py::test_a_cancel_while_a_request_is_retried_ends_the_run_within_two_seconds",
    ),
    # Engine and state.
    Fault(
        name="one 401 pauses an account",
        file="runs/attempt.py",
        right="            confirm_rejected(client, rejected, self._records.settings.key_confirm_seconds, "
        "self._cancellation(found.id))\n",
        wrong="",
        test="tests/runs/test_attempts.py::test_a_single_rejection_of_the_key_pauses_nothing_and_is_retried",
    ),
    Fault(
        name="a manual pause resumed",
        file="state/datasets.py",
        right='if one.pause is not None and one.pause.code == "key_rejected"',
        wrong="if one.pause is not None",
        test="tests/runs/test_attempts.py::"
        "test_a_key_that_works_again_resumes_what_its_rejection_paused_and_nothing_else",
    ),
    Fault(
        name="mended without the delay",
        file="engine/dispatch.py",
        right="delay_seconds=again)",
        wrong="delay_seconds=0)",
        test="tests/engine/test_due.py::TestMend::"
        "test_a_run_whose_attempt_ended_without_a_word_fails_or_is_tried_again",
    ),
    Fault(
        name="one notice of several",
        file="app/notifier.py",
        right="arrived += 1",
        wrong="arrived = 1",
        test="tests/app/test_alerts.py::test_everything_that_is_due_is_sent_at_once_and_counted",
    ),
    Fault(
        name="no patience with the state",
        file="engine/state_wait.py",
        right="if now - away_since >= seconds or wait(_PAUSE_SECONDS):",
        wrong="if True:",
        test="tests/engine/test_patience.py::test_a_call_is_repeated_until_the_state_is_back",
    ),
    Fault(
        name="a step not repeated",
        file="engine/worker.py",
        right='{"reference": self._patiently(partial(getattr(self._steps, name), run, attempt))}',
        wrong='{"reference": getattr(self._steps, name)(run, attempt)}',
        test="tests/engine/test_queue.py::test_an_attempt_waits_for_a_state_that_is_unavailable",
    ),
    Fault(
        name="a lost attempt left in the queue",
        file="engine/worker.py",
        right="self._queue.end(workflow)",
        wrong="pass",
        test="tests/engine/test_queue.py::test_an_attempt_that_can_not_be_recorded_is_reported_and_ended_in_the_queue",
    ),
    Fault(
        name="a malformed state as a missing permission",
        file="state/database_errors.py",
        right='    sqlite3.SQLITE_CORRUPT: "damaged",\n',
        wrong="",
        test="tests/state/test_database.py::test_a_malformed_state_is_no_missing_permission",
    ),
    Fault(
        name="a deleted state as no dataset",
        file="state/datasets.py",
        right="self._check_not_lost(known)",
        wrong="pass",
        test="tests/state/test_datasets.py::test_a_state_without_datasets_beside_archives_of_runs_is_named_as_lost",
    ),
    Fault(
        name="no deadline after a signal",
        file="engine/shutdown.py",
        right="time.sleep(self._seconds)\n        os._exit(0)",
        wrong="time.sleep(self._seconds)",
        test="tests/cli/test_shutdown.py::test_an_interrupt_that_is_swallowed_ends_the_process_at_the_deadline",
    ),
    Fault(
        name="an ignored SIGINT obeyed",
        file="cli/run_command.py",
        right="if earlier is not signal.SIG_IGN and not",
        wrong="if not",
        test="tests/cli/test_run_command.py::test_a_run_that_was_started_with_sigint_ignored_ignores_it",
    ),
    Fault(
        name="a run that waits for an attempt that is lost",
        file="app/runs.py",
        right="            one.check(run)\n",
        wrong="",
        test="tests/cli/test_full_disk.py::test_a_run_whose_databases_have_no_room_left_ends_and_changes_nothing",
    ),
    Fault(
        name="a run that waits for a full queue",
        file="app/runs.py",
        right="                    one.check_queue()\n",
        wrong="                    pass\n",
        test="tests/cli/test_full_disk.py::test_a_run_whose_databases_have_no_room_left_ends_and_changes_nothing",
    ),
    # Loads: keys, spools, sizes and states of tables.
    Fault(
        name="duplicate keys loaded",
        file="archive/key_check.py",
        right="    if len(repeated):\n",
        wrong="    if False and len(repeated):\n",
        test="tests/runs/test_key_check.py::test_pull_refuses_a_duplicate_and_its_pages_are_not_resumed",
    ),
    Fault(
        name="missing keys loaded",
        file="archive/key_check.py",
        right="missing += _missing(batch, key)",
        wrong="missing += 0",
        test="tests/runs/test_key_check.py::test_row_without_a_key_fails_the_run",
    ),
    Fault(
        name="collision refused",
        file="archive/key_check.py",
        right="for one, count in counts.items() if count > 1}",
        wrong="for one, count in counts.items()}",
        test="tests/archive/test_key_check.py::test_colliding_hashes_are_no_duplicates",
    ),
    Fault(
        name="changes refused",
        file="runs/loads/load.py",
        right="unique = plan.changes is None or ledger.whole",
        wrong="unique = True",
        test="tests/runs/test_key_check.py::test_run_of_changes_may_bring_an_object_twice",
    ),
    Fault(
        name="duplicate resumed",
        file="runs/pull.py",
        right="        archive.remove()\n        raise",
        wrong="        raise",
        test="tests/runs/test_key_check.py::test_pull_refuses_a_duplicate_and_its_pages_are_not_resumed",
    ),
    Fault(
        name="contradictory spool resumed",
        file="runs/resume.py",
        right="    if found is None:\n        return []\n    _empty(folder)",
        wrong="    if found is None or found:\n        return []\n    _empty(folder)",
        test="tests/acceptance/test_resuming.py::test_pages_that_were_kept_twice_are_read_again",
    ),
    Fault(
        name="overlapping windows resumed",
        file="extract/spool_check.py",
        right="            if overlaps:",
        wrong="            if overlaps and not upper:",
        test="tests/extract/test_spool_check.py::test_pages_that_contradict_one_another_are_found",
    ),
    Fault(
        name="foreign cursor resumed",
        file="extract/spool_check.py",
        right="return None if page.cursor == expected else",
        wrong="return None if page.cursor else",
        test="tests/extract/test_spool_check.py::test_pages_that_contradict_one_another_are_found",
    ),
    Fault(
        name="hostile frame crashes",
        file="archive/spool.py",
        right="                _check_types(decoded, _HEADER)\n",
        wrong="",
        test="tests/archive/test_spool.py::test_frame_that_is_no_page_is_a_run_error",
    ),
    Fault(
        name="shrunk table loaded",
        file="runs/loads/size_check.py",
        right="rows * 2 < before",
        wrong="rows * 2 < 0",
        test="tests/runs/test_size_check.py::test_run_that_would_remove_more_than_half_stops_and_continues_from_its_archive",
    ),
    Fault(
        name="deleted rows counted",
        file="runs/loads/size_check.py",
        right='"_deleted" IS NOT TRUE',
        wrong='"_deleted" IS NOT NULL OR TRUE',
        test="tests/runs/test_size_check.py::test_rows_that_are_marked_as_deleted_do_not_count",
    ),
    Fault(
        name="other options compared",
        file="runs/loads/size_check.py",
        right="    return all(scope.get(name) == now.get(name)",
        wrong="    return all(scope or now and name",
        test="tests/runs/test_size_check.py::test_changed_options_are_not_compared",
    ),
    Fault(
        name="first of several loaded",
        file="runs/loads/load.py",
        right="        if len(targets) > 1:\n            self._check_sizes(targets)",
        wrong="        if not targets:\n            self._check_sizes(targets)",
        test="tests/runs/test_size_check.py::test_none_of_several_tables_is_loaded",
    ),
    Fault(
        name="paused and verified",
        file="app/datasets/status.py",
        right='    if dataset.pause is not None and dataset.pause.code == "manual":',
        wrong="    if dataset.pause is not None and not dataset.name:",
        test="tests/web/test_dataset_status.py::test_status_follows_an_order",
    ),
    Fault(
        name="rollback hidden",
        file="app/datasets/status.py",
        right="    if version.id == read.id:",
        wrong="    if version.id == read.id or by:",
        test="tests/web/test_dataset_status.py::test_rolled_back_table_shows_the_version_and_the_next_update",
    ),
    # Fields without a column, limits of programs, and texts that decide nothing.
    Fault(
        name="known drift not updated",
        file="columns/stripe_columns.json",
        right='"refund": [\n',
        wrong='"refund": [\n["customer", "id", "customer"],\n',
        test="tests/columns/test_known_drift.py::test_field_without_a_column_has_none",
    ),
    Fault(
        name="preview of the same customer's schedule",
        file="extract/preview.py",
        right="    if named != sent:\n        detail",
        wrong="    if named and sent and named != sent:\n        detail",
        test="tests/extract/test_embedded.py::test_a_preview_of_another_invoice_is_requested_again",
    ),
    Fault(
        name="lines of another preview",
        file="extract/preview.py",
        right="        invoice.clear()\n        invoice.update(again)\n",
        wrong="",
        test="tests/extract/test_embedded.py::test_lines_of_a_preview_that_is_requested_again_come_with_its_amounts",
    ),
    Fault(
        name="short pages that omit different rows",
        file="extract/validation.py",
        right="and self.identifiers == other.identifiers",
        wrong="",
        test="tests/extract/test_validation.py::test_short_pages_that_omit_different_rows_fail_the_run",
    ),
    Fault(
        name="limit of any type",
        file="arguments.py",
        right="else index(given)",
        wrong="else given",
        test="tests/runs/test_plan.py::test_limit_that_is_not_a_whole_number_is_refused_and_named",
    ),
    Fault(
        name="escaped value lost",
        file="columns/flatten.py",
        right="if not derived and value is not None:",
        wrong='if not derived and value is not None and kind != "wrong type":',
        test="tests/acceptance/test_escaped_values.py"
        "::test_charges_with_a_lone_surrogate_are_loaded_escaped_with_one_warning",
    ),
    Fault(
        name="step by message",
        file="web/pages/runs.py",
        right='line.fields.get("step") == LOAD_STEP',
        wrong='line.message.startswith("Loading into ")',
        test="tests/web/test_runs.py::test_step_of_a_run_is_read_from_the_fields_of_its_log",
    ),
    Fault(
        name="load without its step",
        file="runs/loads/load.py",
        right=", step=LOAD_STEP)",
        wrong=")",
        test="tests/cli/test_runs_commands.py::test_the_log_is_printed_and_following_one_that_is_over_ends",
    ),
    Fault(
        name="failed query without its code",
        file="errors.py",
        right=", code=QUERY_FAILED",
        wrong="",
        test="tests/destinations/test_conformance.py::test_a_query_that_cannot_be_answered_is_an_error_of_ours",
    ),
    Fault(
        name="missing folder without its hint",
        file="app/datasets/service.py",
        right="if error.code == FOLDER_MISSING else",
        wrong="if error.code is None else",
        test="tests/cli/test_datasets.py::test_wrong_words_are_refused_in_words_and_nothing_is_stored",
    ),
    Fault(
        name="canceled run without its result",
        file="runs/outcome.py",
        right='"info", f"Canceled; {left}", left=left)',
        wrong='"info", f"Canceled; {left}")',
        test="tests/cli/test_run_command.py::test_ctrl_c_cancels_the_run_of_this_process",
    ),
)


def planted(fault: Fault | None, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the tests on a copy of the program with the fault in it."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-fault-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if fault is not None:
            file = source / "counterfoil" / fault.file
            text = file.read_text()
            if text.count(fault.right) != 1:
                raise SystemExit(f"{fault.name}: its text stands {text.count(fault.right)} times in {fault.file}")
            file.write_text(text.replace(fault.right, fault.wrong))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *tests]
        environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", "TESTS": "all"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def main(names: Sequence[str]) -> int:
    """0 when every fault was noticed by its test, and no test is red without one; of the named faults, or of all."""
    faults = [fault for fault in FAULTS if not names or fault.name in names]
    if unknown := set(names) - {fault.name for fault in faults}:
        raise SystemExit(f"There is no fault {unknown.pop()!r}")
    sound = planted(None, sorted({fault.test for fault in faults}))
    if sound.returncode:
        print(sound.stdout[-3000:])
        print("The tests are red without any fault.")
        return 1
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        for fault, result in zip(faults, pool.map(lambda fault: planted(fault, [fault.test]), faults), strict=True):
            # 1 is a red test; anything else means that the test was not found or could not run.
            noticed = result.returncode == 1 and "FAILED " in result.stdout
            missed += not noticed
            print(f"{'noticed' if noticed else 'MISSED '}  {fault.name:<24}{fault.test}", flush=True)
            if not noticed:
                print(result.stdout[-2000:])
    print(f"{len(faults) - missed} of {len(faults)} planted faults were noticed.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
