"""Plants faults, one at a time, in a copy of the program, and runs the test of each fault, which must fail.

A fault replaces a text in one file. It is an error if the text does not occur exactly once. Run
`python tools/faults.py NAME…` for single faults.
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
    """A fault: its name, file, original and replacement text, and the test that must fail."""

    name: str
    file: str
    right: str
    wrong: str
    test: str


WINDOWS = "tests/extract/test_windows.py::test_every_object_is_read_exactly_once"
RESUMED = "tests/extract/test_earlier.py::test_killed_and_resumed_reading_stores_every_object_exactly_once"

FAULTS = (
    Fault(
        name="wrong exponent",
        file="columns/money.py",
        right="(_ZERO, 0)",
        wrong="(_ZERO, 2)",
        test="tests/columns/test_money.py::test_1050_minor_units_convert_by_currency",
    ),
    Fault(
        name="window off by one",
        file="extract/windows.py",
        right="child = Chain(parent.since, middle, parent",
        wrong="child = Chain(parent.since, middle - 1, parent",
        test=WINDOWS,
    ),
    Fault(
        name="later pages of a divided window lost",
        file="extract/windows.py",
        right="if more and (chain.since is None",
        wrong="if more and chain.giver is None and (chain.since is None",
        test="tests/acceptance/test_reports.py::test_listed_report_has_the_ids_of_a_serial_loop[charges]",
    ),
    Fault(
        name="403 ignored",
        file="extract/listing.py",
        right="if error.status not in listing.retired or reading.answered:",
        wrong="if error.status not in {403, *listing.retired} or reading.answered:",
        test="tests/acceptance/test_refusals.py::test_missing_permission_is_named",
    ),
    Fault(
        name="rows outside a window stored",
        file="extract/windows.py",
        right="if (since is None or row[created] >= since)",
        wrong="if (since is None or row[created] >= 0)",
        test=WINDOWS,
    ),
    Fault(
        name="truncated embedded list not completed",
        file="extract/embedded.py",
        right='and embedded.get("has_more") is False',
        wrong='and embedded.get("has_more") is not None',
        test="tests/acceptance/test_reports.py::test_invoices_contain_all_of_their_lines",
    ),
    Fault(
        name="amounts computed as floats",
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
        test="tests/destinations/test_conformance.py::test_parts_with_missing_rows_change_nothing",
    ),
    Fault(
        name="non-atomic replace in Postgres",
        file="destinations/postgres/methods.py",
        right='return session.run(f"DELETE FROM {session.named(table)}")',
        wrong='return session.run(f"DELETE FROM {session.named(table)}") + session.run("COMMIT; BEGIN")',
        test="tests/destinations/test_conformance.py::test_parts_with_missing_rows_change_nothing",
    ),
    Fault(
        name="concurrent loads of a Postgres table",
        file="destinations/postgres/server.py",
        right='if session.one("SELECT pg_try_advisory_xact_lock(%s, %s)", key):',
        wrong="if key:",
        test="tests/destinations/test_postgres.py::test_waiting_load_names_lock_holder",
    ),
    Fault(
        name="query with several statements accepted",
        file="destinations/postgres/query.py",
        right="                binary=True,\n",
        wrong="                binary=False,\n",
        test="tests/destinations/test_postgres_question.py::test_statement_other_than_one_select_is_rejected",
    ),
    Fault(
        name="manifest overwritten",
        file="destinations/object_store/store.py",
        right='data, mode="create")',
        wrong="data)",
        test="tests/destinations/test_objects.py::test_second_of_two_concurrent_loads_fails_and_can_be_repeated",
    ),
    Fault(
        name="files of another load deleted",
        file="destinations/object_store/tables.py",
        right="version is not None and version <= manifest.number",
        wrong="version is not None",
        test="tests/destinations/test_objects.py::test_load_removes_leftovers_but_not_files_of_later_version",
    ),
    Fault(
        name="partition rewrites all months",
        file="destinations/parquet/time_ranges.py",
        right="in bounds):\n            return False",
        wrong="in bounds):\n            return None",
        test="tests/destinations/test_months.py::test_store_downloads_only_months_that_partition_divides",
    ),
    Fault(
        name="damaged page accepted",
        file="archive/spool.py",
        right="if _CHECKSUM.unpack(checksum)[0] != zlib",
        wrong="if _CHECKSUM.unpack(checksum)[0] == -1 != zlib",
        test="tests/archive/test_spool.py::test_spool_with_a_changed_byte_keeps_only_the_frames_before_it",
    ),
    Fault(
        name="resume forgets a divided window",
        file="extract/windows.py",
        right="since = below.window.until if below else window.since",
        wrong="since = one.window.since",
        test=RESUMED,
    ),
    Fault(
        name="resume duplicates rows of a second",
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
        test="tests/test_log.py::test_log_line_contains_no_secret",
    ),
    Fault(
        name="revoked token accepted",
        file="state/tokens.py",
        right="return self.revoked_at is None and",
        wrong="return",
        test="tests/api/test_strangers.py::test_every_route_denies_wrong_expired_and_revoked_tokens",
    ),
    Fault(
        name="read-only token can write",
        file="web/api/bearer.py",
        right='if found.scope == "read" and request.method not in _SAFE:',
        wrong="if False:",
        test="tests/api/test_strangers.py::test_read_only_token_changes_nothing",
    ),
    Fault(
        name="key decrypted for another account",
        file="state/vault.py",
        right='return f"{account}\\0{version}".encode()',
        wrong="return version.encode()",
        test="tests/state/test_vault.py::test_a_sealed_key_does_not_open_for_another_account",
    ),
    Fault(
        name="omitted value stored",
        file="columns/redact.py",
        right="result.pop(key, None)",
        wrong="result.get(key)",
        test="tests/columns/test_redact.py::test_left_out_value_is_removed_and_other_values_stay",
    ),
    Fault(
        name="due time claimed twice",
        file="state/datasets.py",
        right="self._change(connection, dataset.id, next_due_at=following)\n                claimed",
        wrong="claimed",
        test="tests/state/test_claims.py::test_batches_of_claims_lose_no_due_dataset",
    ),
    # Wrong responses.
    Fault(
        name="page not checked against its window",
        file="extract/validation.py",
        right="(window.until is not None and newest >= window.until)",
        wrong="(False)",
        test="tests/extract/test_validation.py::test_deviation_of_a_page_from_its_request_is_detected",
    ),
    Fault(
        name="empty page ends a list",
        file="extract/validation.py",
        right='body["has_more"] and len(ids) <= (expected.first is not None)',
        wrong="False",
        test="tests/extract/test_validation.py::test_deviation_of_a_page_from_its_request_is_detected",
    ),
    Fault(
        name="skipped page not detected",
        file="extract/validation.py",
        right="(not ids or ids[0] != expected.first)",
        wrong="False",
        test="tests/extract/test_validation.py::test_deviation_of_a_page_from_its_request_is_detected",
    ),
    Fault(
        name="full page ends a list",
        file="extract/windows.py",
        right="more = has_more or full",
        wrong="more = has_more",
        test="tests/extract/test_validation.py::test_wrong_first_response_loses_and_duplicates_no_rows",
    ),
    Fault(
        name="short page not detected",
        file="extract/validation.py",
        right='if body["has_more"] and len(ids) < expected.limit:',
        wrong="if False:",
        test="tests/extract/test_validation.py::test_wrong_first_response_loses_and_duplicates_no_rows",
    ),
    Fault(
        name="duplicate row in a page not detected",
        file="extract/validation.py",
        right="if len(set(ids)) < len(ids):",
        wrong="if False:",
        test="tests/extract/test_validation.py::test_deviation_of_a_page_from_its_request_is_detected",
    ),
    Fault(
        name="rows of another parent accepted",
        file="extract/validation.py",
        right="if type(value := row.get(name)) is str and value not in values:",
        wrong="if False:",
        test="tests/extract/test_validation.py::test_deviation_of_a_page_from_its_request_is_detected",
    ),
    Fault(
        name="rows of another type accepted",
        file="extract/validation.py",
        right="if not expected.objects:",
        wrong="if True:",
        test="tests/extract/test_validation.py::test_deviation_of_a_page_from_its_request_is_detected",
    ),
    Fault(
        name="first wrong response accepted",
        file="extract/validation.py",
        right="if len(deviations) < TRIES:",
        wrong="if False:",
        test="tests/extract/test_validation.py::test_wrong_first_response_loses_and_duplicates_no_rows",
    ),
    Fault(
        name="different wrong responses accepted",
        file="extract/validation.py",
        right="if all(deviation.same_as(one) for one in deviations):",
        wrong="if True:",
        test="tests/extract/test_validation.py::test_different_rows_outside_the_window_fail_the_reading",
    ),
    Fault(
        name="no fallback for ignored windows",
        file="extract/listing.py",
        right="if deviation.code not in TIME_CODES or",
        wrong="if deviation.code or",
        test="tests/extract/test_validation.py::test_list_that_ignores_windows_is_read_as_one_chain",
    ),
    Fault(
        name="embedded list without has_more is not continued",
        file="extract/embedded.py",
        right="if has_more is not False:\n            if not known",
        wrong="if has_more:\n            if not known",
        test="tests/extract/test_embedded.py::test_an_embedded_list_without_has_more_is_read_to_its_end",
    ),
    Fault(
        name="entry count of an embedded list ignored",
        file="extract/embedded.py",
        right="if type(count) is int and count != len(known):",
        wrong="if False:",
        test="tests/extract/test_embedded.py::test_inconsistent_embedded_list_is_rejected",
    ),
    Fault(
        name="single 404 deletes a row",
        file="extract/embedded.py",
        right="for _ in range(2):",
        wrong="for _ in range(1):",
        test="tests/extract/test_embedded.py::test_object_counts_as_deleted_after_two_responses",
    ),
    Fault(
        name="response with another object accepted",
        file="extract/validation.py",
        right="if id is not None and found != id:",
        wrong="if False:",
        test="tests/extract/test_embedded.py::test_wrong_single_object_is_requested_again",
    ),
    Fault(
        name="event without an object ignored",
        file="extract/event_ids.py",
        right="if kind is None or not isinstance(one, dict):",
        wrong="if False:",
        test="tests/extract/test_changes.py::test_event_without_an_object_causes_a_full_refresh",
    ),
    # The Python library, destinations and interrupts.
    Fault(
        name="exhausted reader returns no rows",
        file="runs/read.py",
        right='                self._end("reader_exhausted", "the reader has no more rows")\n',
        wrong="",
        test="tests/app/test_reader.py::test_reading_an_exhausted_reader_raises",
    ),
    Fault(
        name="failed reader looks complete",
        file="runs/read.py",
        right='self._end("reader_failed", ',
        wrong="print(",
        test="tests/app/test_reader.py::test_failed_reader_does_not_look_exhausted",
    ),
    Fault(
        name="read after close allowed",
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
        test="tests/test_file_locks.py::test_error_names_holder_and_killing_it_releases_lock",
    ),
    Fault(
        name="request to Domo not canceled",
        file="destinations/domo/client.py",
        right="run(exchange(data), check=self.check)",
        wrong="run(exchange(data))",
        test="tests/destinations/test_domo_failures.py::test_load_is_canceled_while_domo_does_not_respond",
    ),
    Fault(
        name="fork breaks the parent's connection",
        file="http/async_bridge.py",
        right="        inherited.detach()\n",
        wrong="        pass\n",
        test="tests/app/test_reader.py::test_forked_child_cannot_use_connection_but_opens_its_own",
    ),
    Fault(
        name="key in a pickle",
        file="stripe/key.py",
        right="def __reduce__(self) -> NoReturn:",
        wrong="def _reduce(self) -> NoReturn:",
        test="tests/app/test_reader.py::test_objects_with_a_key_cannot_be_pickled_or_copied",
    ),
    Fault(
        name="every name is public",
        file="__init__.py",
        right="if not TYPE_CHECKING:  # for",
        wrong="if True:  # for",
        test="tests/test_public_names.py::test_program_of_user_passes_strict_type_check",
    ),
    Fault(
        name="message with two full stops",
        file="errors.py",
        right=".rstrip('.')}.",
        wrong="}.",
        test="tests/test_errors.py::test_sentence_has_one_full_stop_and_context_none",
    ),
    Fault(
        name="every 404 treated as a deleted parent",
        file="extract/by_parent.py",
        right='if error.code != "resource_missing" or error.param != parents.param:',
        wrong='if error.code != "resource_missing":',
        test="tests/extract/test_of_parents.py::test_other_errors_do_not_count_as_a_deleted_parent",
    ),
    Fault(
        name="invalid table name accepted",
        file="table_names.py",
        right="        if broken:\n",
        wrong="        if broken and not name:\n",
        test="tests/acceptance/test_before_reading.py::test_pull_rejects_invalid_target_before_first_request",
    ),
    Fault(
        name="destination not checked before the first request",
        file="app/connection.py",
        right="            check_destination(destination, to, table, relative_to=place, settings=settings)\n",
        wrong="",
        test="tests/acceptance/test_before_reading.py::test_python_api_rejects_invalid_target_before_first_request",
    ),
    Fault(
        name="run not checked before the first request",
        file="runs/attempt.py",
        right="            self._destinations.check(dataset)\n",
        wrong="",
        test="tests/acceptance/test_before_reading.py::test_run_rejects_missing_folder_before_first_request",
    ),
    Fault(
        name="full disk not detected",
        file="free_space.py",
        right="free < megabytes else None",
        wrong="free < 0 else None",
        test="tests/acceptance/test_before_reading.py::test_full_disk_prevents_requests_to_stripe",
    ),
    Fault(
        name="interrupt during imports prints a traceback",
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
        test="tests/cli/test_interrupts.py::test_unwritable_output_prints_no_traceback",
    ),
    # Columns, keys, merges and the parsing of responses.
    Fault(
        name="column kind overwrites the object's field",
        file="extract/union.py",
        right='one["_kind"] = kind',
        wrong='one["kind"] = one["_kind"] = kind',
        test="tests/extract/test_shapes.py::test_union_preserves_the_kind_field_of_its_objects",
    ),
    Fault(
        name="column bucket overwrites the entry's field",
        file="extract/singleton.py",
        right='{**others, **entry, "_bucket": bucket.bucket,',
        wrong='{**others, **entry, "bucket": "", "_bucket": bucket.bucket,',
        test="tests/extract/test_shapes.py::test_buckets_preserve_the_bucket_and_state_fields_of_their_entries",
    ),
    Fault(
        name="invoice lines keyed by id only",
        file="reports/lists/embedded.py",
        right='primary_key=("invoice", "id")',
        wrong='primary_key=("id",)',
        test="tests/extract/test_shapes.py::test_lines_with_the_same_id_on_two_invoices_are_two_rows",
    ),
    Fault(
        name="primary key missing from the layout",
        file="runs/plans/dataset_plan.py",
        right="if len(report.primary_key) > 1:",
        wrong="if len(report.primary_key) > 9:",
        test="tests/runs/test_layout.py::test_only_reports_with_a_changed_layout_are_refreshed",
    ),
    Fault(
        name="current layout stored with an old plan",
        file="runs/plans/dataset_plan.py",
        right='"columns": self.layout,',
        wrong='"columns": _layout(report_of(self.report), self.choice),',
        test="tests/runs/test_layout.py::test_run_planned_by_an_earlier_version_is_followed_by_a_full_refresh",
    ),
    Fault(
        name="renamed column empty under its earlier name",
        file="columns/flatten.py",
        right="arrays[index] = arrays[names.index(column.copy_of)]",
        wrong="pass",
        test="tests/columns/test_flatten.py::test_renamed_column_repeats_its_values_under_its_earlier_name",
    ),
    Fault(
        name="deleted objects not inserted",
        file="destinations/keys.py",
        right='if load.deleted == "drop" or OBJECT not in names:',
        wrong="if True:",
        test="tests/destinations/test_merge.py::test_object_first_seen_deleted_is_inserted_as_deleted",
    ),
    Fault(
        name="deletion notices inserted as rows",
        file="destinations/keys.py",
        right='AND {alias}{quoted(OBJECT)} IS NULL)"',
        wrong='AND {alias}{quoted(OBJECT)} IS NOT NULL)"',
        test="tests/destinations/test_merge.py::test_deletion_notice_never_replaces_values",
    ),
    Fault(
        name="marked row replaced in Postgres",
        file="destinations/postgres/merge.py",
        right="AND NOT matched.same AND NOT matched.gone",
        wrong="AND NOT matched.same",
        test="tests/destinations/test_merge.py::test_object_first_seen_deleted_is_inserted_as_deleted",
    ),
    Fault(
        name="deleted objects not inserted in a warehouse",
        file="destinations/warehouse/methods.py",
        right='done = f"{gone} AND {in_table}" if shown else gone',
        wrong="done = gone",
        test="tests/destinations/test_merge.py::test_object_first_seen_deleted_is_inserted_as_deleted",
    ),
    Fault(
        name="full-width at sign not escaped",
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
        name="invalid identifier changed",
        file="stripe/json_body.py",
        right='if name == "id" and isinstance',
        wrong='if name == "" and isinstance',
        test="tests/stripe/test_json_body.py::test_identifier_that_is_not_valid_text_is_an_error",
    ),
    Fault(
        name="infinity accepted as a number",
        file="stripe/json_body.py",
        right="return value if math.isfinite(value) else",
        wrong="return value if True else",
        test="tests/stripe/test_json_body.py::test_value_that_is_not_valid_text_or_number_is_escaped_in_place",
    ),
    Fault(
        name="spool rounds integers",
        file="archive/spool.py",
        right='_exact(plain) if header.get("exact") else',
        wrong='_exact(plain) if header.get("never") else',
        test="tests/archive/test_spool.py::test_integers_beyond_64_bits_and_deep_objects_are_read_back_unchanged",
    ),
    Fault(
        name="escaped value without a warning",
        file="columns/flatten.py",
        right="if any(text is not None and _MARK in text for text in texts):",
        wrong="if not texts:",
        test="tests/columns/test_flatten.py::test_escaped_value_is_stored_and_its_column_reported",
    ),
    # Reports, views of the latest snapshot, and examples.
    Fault(
        name="canceled subscriptions missing",
        file="reports/lists/billing.py",
        right='params={"status": "all"}, ',
        wrong="",
        test="tests/acceptance/test_reports.py::test_all_subscriptions_contain_the_subscription_of_each_item",
    ),
    Fault(
        name="reference of subscription items not checked",
        file="proof/check_selection.py",
        right="or reference.column not in intact:",
        wrong='or reference.column not in intact or types[reference.column] != "id":',
        test="tests/proof/test_runs.py::test_lost_canceled_subscription_fails_reference_of_items",
    ),
    Fault(
        name="column plan missing",
        file="columns/stripe_columns.json",
        right='["plan", "json", "plan"],\n',
        wrong="",
        test="tests/acceptance/test_reports.py::test_pull_all_creates_a_table_for_each_report",
    ),
    Fault(
        name="view shows an old snapshot",
        file="destinations/duckdb/latest.py",
        right="tables.forget(cursor, name, LATEST)",
        wrong="pass",
        test="tests/destinations/test_latest.py::test_empty_snapshot_shows_no_rows[duckdb]",
    ),
    Fault(
        name="user's view overwritten",
        file="destinations/postgres/latest.py",
        right="return is_ours(session.one(",
        wrong="return bool(session.one(",
        test="tests/destinations/test_latest.py::test_unmanaged_object_with_view_name_is_never_overwritten[postgres-VIEW]",
    ),
    Fault(
        name="name in a WITH treated as a table",
        file="destinations/query_check.py",
        right='given |= {same_name(part["key"])}',
        wrong="pass",
        test="tests/destinations/test_latest.py::test_aggregation_over_snapshots_is_detected",
    ),
    Fault(
        name="sum over several snapshots without a warning",
        file="app/tables.py",
        right="if runs > 1:",
        wrong="if runs > 2:",
        test="tests/web/test_ask.py::test_query_that_adds_up_snapshots_has_a_warning",
    ),
    Fault(
        name="authorizations counted as revenue",
        file="web/examples.py",
        right="AND captured AND",
        wrong="AND",
        test="tests/acceptance/test_examples.py::test_page_example_equals_recount",
    ),
    Fault(
        name="months in the local time zone",
        file="cli/demo/once.py",
        right="created AT TIME ZONE 'UTC'",
        wrong="created",
        test="tests/acceptance/test_examples.py::test_demo_query_equals_recount",
    ),
    # The Stripe client: retries, responses, bodies, clocks.
    Fault(
        name="retries counted, not timed",
        file="stripe/retries.py",
        right="most = () if backoff.tries is None else (tenacity.stop_after_attempt(backoff.tries),)",
        wrong="most = (tenacity.stop_after_attempt(backoff.tries or 6),)",
        test="tests/stripe/test_retries.py::test_request_survives_an_outage_shorter_than_the_budget",
    ),
    Fault(
        name="Retry-After ignored",
        file="stripe/retries.py",
        right="return 0.0 if failure is None else failure.retry_after",
        wrong="return 0.0",
        test="tests/stripe/test_retries.py::test_retry_after_is_the_minimum_wait",
    ),
    Fault(
        name="timeout of a hanging request not limited",
        file="stripe/retries.py",
        right="return min(TOTAL_SECONDS, max(self.seconds - self.spent, least))",
        wrong="return TOTAL_SECONDS",
        test="tests/stripe/test_retries.py::test_late_try_has_a_timeout_of_five_seconds",
    ),
    Fault(
        name="wrong host retried for minutes",
        file="stripe/retries.py",
        right="stranger = failure is not None and",
        wrong="stranger = False and failure is not None and",
        test="tests/stripe/test_retries.py::test_host_that_never_answered_like_stripe_fails_after_thirty_seconds",
    ),
    Fault(
        name="wait for the rate limit counted as retry time",
        file="stripe/client.py",
        right="        permit = await limiter.acquire(request.endpoint)\n        budget.start()\n",
        wrong="        budget.start()\n        permit = await limiter.acquire(request.endpoint)\n",
        test="tests/stripe/test_stripe_client.py::test_wait_for_a_permit_does_not_use_the_budget",
    ),
    Fault(
        name="status 206 accepted",
        file="stripe/responses.py",
        right="if reply.status == 200:",
        wrong="if 200 <= reply.status < 300:",
        test="tests/stripe/test_stripe_client.py::test_each_response_leads_to_its_error[206]",
    ),
    Fault(
        name="status 408 not retried",
        file="stripe/responses.py",
        right="frozenset({408, 409,",
        wrong="frozenset({409,",
        test="tests/stripe/test_stripe_client.py::test_each_response_leads_to_its_error[408]",
    ),
    Fault(
        name="error with status 200 accepted",
        file="stripe/responses.py",
        right='if "error" in body and "object" not in body:',
        wrong='if "error" in body and "object" in body:',
        test="tests/stripe/test_stripe_client.py::test_each_response_leads_to_its_error[error with 200]",
    ),
    Fault(
        name="redirect treated as a rejection",
        file="stripe/responses.py",
        right="_REDIRECTS = frozenset({301, 302, 303, 307, 308})",
        wrong="_REDIRECTS = frozenset({301, 302, 303})",
        test="tests/stripe/test_stripe_client.py::test_each_response_leads_to_its_error[redirect with an error]",
    ),
    Fault(
        name="response without a date accepted",
        file="stripe/responses.py",
        right="if date is None or date <= 0:",
        wrong="if date is None:\n        date = 1\n    if date <= 0:",
        test="tests/stripe/test_stripe_client.py::test_response_without_a_valid_date_is_rejected",
    ),
    Fault(
        name="any object accepted as the account",
        file="stripe/client.py",
        right=', wanted="account")',
        wrong=")",
        test="tests/stripe/test_stripe_client.py::test_response_without_an_account_id_is_not_accepted",
    ),
    Fault(
        name="single wrong date accepted",
        file="stripe/client.py",
        right="return median_low(dates) if dates else 0",
        wrong="return max(dates, default=0)",
        test="tests/stripe/test_stripe_client.py::test_single_wrong_date_does_not_change_the_clock",
    ),
    Fault(
        name="canceled request not counted",
        file="stripe/client.py",
        right="self.requests[request.endpoint] += 1  # it may have reached Stripe",
        wrong="pass",
        test="tests/stripe/test_stripe_client.py::test_cancelled_request_releases_its_slot",
    ),
    Fault(
        name="withdrawn request does not release its slot",
        file="stripe/limiter.py",
        right="self._limits.withdraw(endpoint, self._clock())",
        wrong="pass",
        test="tests/stripe/test_stripe_rates.py::test_waiter_cancelled_at_admission_returns_slot_and_token",
    ),
    Fault(
        name="withdrawn request does not return its token",
        file="stripe/rates.py",
        right="gate.bucket.give_back()",
        wrong="pass",
        test="tests/stripe/test_stripe_rates.py::test_withdrawn_request_returns_slot_and_token",
    ),
    Fault(
        name="decompression bomb unpacked",
        file="http/transport.py",
        right="member.decompress(rest, most - len(whole) + 1)",
        wrong="member.decompress(rest)",
        test="tests/stripe/test_response_bodies.py::test_gzip_bomb_is_not_decompressed_beyond_the_limit",
    ),
    Fault(
        name="only the first gzip member read",
        file="http/transport.py",
        right='rest = member.unused_data.lstrip(b"\\0")  # padding',
        wrong='rest = b""',
        test="tests/stripe/test_response_bodies.py::test_gzip_body_with_several_members_is_decompressed",
    ),
    Fault(
        name="truncated gzip member accepted",
        file="http/transport.py",
        right="if not member.eof:",
        wrong="if not body:",
        test="tests/stripe/test_response_bodies.py::test_damaged_gzip_body_is_a_transient_error",
    ),
    Fault(
        name="response size not limited",
        file="http/transport.py",
        right="        if size > most:\n            raise _TooLarge\n        chunks.append(chunk)",
        wrong="        chunks.append(chunk)",
        test="tests/stripe/test_response_bodies.py::test_body_over_the_limit_fails_at_once_and_names_limit_and_setting",
    ),
    Fault(
        name="later of two clocks used",
        file="runs/clocks.py",
        right="return min(self.stripe, self.ours)",
        wrong="return max(self.stripe, self.ours)",
        test="tests/runs/test_clocks.py::test_objects_created_while_the_clock_at_stripe_was_ahead_are_not_lost",
    ),
    Fault(
        name="bookmark moves back",
        file="runs/attempt.py",
        right="                clocks.check_bookmark(dataset.bookmark, dataset.name)\n",
        wrong="",
        test="tests/runs/test_clocks.py::test_run_fails_after_the_clock_went_back_until_a_reload",
    ),
    Fault(
        name="clock warning lost",
        file="runs/attempt.py",
        right="(*plan.warnings, *known, *warnings)",
        wrong="warnings",
        test="tests/runs/test_clocks.py::test_local_clock_that_is_ahead_only_causes_a_warning",
    ),
    Fault(
        name="retry delays a cancel",
        file="runs/attempt.py",
        right='_waited(partial(client.get, "/v1/events", {"limit": 1, "type": events[0].type}), cancellation)',
        wrong='wait_for(client.get("/v1/events", {"limit": 1, "type": events[0].type}))',
        test="tests/runs/test_stopping.py::test_cancellation_during_retries_of_a_request_ends_the_run_within_two_seconds",
    ),
    # Engine and state.
    Fault(
        name="single 401 pauses an account",
        file="runs/attempt.py",
        right="            confirm_rejected(client, rejected, self._records.settings.key_confirm_seconds, "
        "self._cancellation(found.id))\n",
        wrong="",
        test="tests/runs/test_attempts.py::test_single_rejection_of_the_key_is_retried_without_a_pause",
    ),
    Fault(
        name="manual pause resumed",
        file="state/datasets.py",
        right='if one.pause is not None and one.pause.code == "key_rejected"',
        wrong="if one.pause is not None",
        test="tests/runs/test_attempts.py::test_accepted_key_resumes_only_datasets_that_its_rejection_paused",
    ),
    Fault(
        name="lost attempt requeued without delay",
        file="engine/dispatch.py",
        right="delay_seconds=again)",
        wrong="delay_seconds=0)",
        test="tests/engine/test_due.py::TestMend::test_run_whose_attempt_ended_without_a_record_fails_or_is_retried",
    ),
    Fault(
        name="only one notification counted",
        file="app/notifier.py",
        right="arrived += 1",
        wrong="arrived = 1",
        test="tests/app/test_alerts.py::test_due_notifications_are_sent_and_counted",
    ),
    Fault(
        name="no wait for an unavailable state",
        file="engine/state_wait.py",
        right="if now - away_since >= seconds or wait(_PAUSE_SECONDS):",
        wrong="if True:",
        test="tests/engine/test_patience.py::test_call_is_repeated_until_the_state_is_available",
    ),
    Fault(
        name="step not repeated after an outage",
        file="engine/worker.py",
        right='{"reference": self._patiently(partial(getattr(self._steps, name), run, attempt))}',
        wrong='{"reference": getattr(self._steps, name)(run, attempt)}',
        test="tests/engine/test_queue.py::test_attempt_waits_for_an_unavailable_state",
    ),
    Fault(
        name="lost attempt not removed from the queue",
        file="engine/worker.py",
        right="self._queue.end(workflow)",
        wrong="pass",
        test="tests/engine/test_queue.py::test_attempt_that_cannot_be_recorded_is_reported_and_ended_in_the_queue",
    ),
    Fault(
        name="damaged state reported as a missing permission",
        file="state/database_errors.py",
        right='    sqlite3.SQLITE_CORRUPT: "damaged",\n',
        wrong="",
        test="tests/state/test_database.py::test_malformed_state_is_not_reported_as_missing_permission",
    ),
    Fault(
        name="deleted state reported as no datasets",
        file="state/datasets.py",
        right="self._check_not_lost(known)",
        wrong="pass",
        test="tests/state/test_datasets.py::test_lost_state_is_reported_if_archives_exist_without_datasets",
    ),
    Fault(
        name="no shutdown deadline after a signal",
        file="engine/shutdown.py",
        right="time.sleep(self._seconds)\n        os._exit(0)",
        wrong="time.sleep(self._seconds)",
        test="tests/cli/test_shutdown.py::test_swallowed_interrupt_ends_process_at_deadline",
    ),
    Fault(
        name="ignored SIGINT handled",
        file="cli/run_command.py",
        right="if earlier is not signal.SIG_IGN and not",
        wrong="if not",
        test="tests/cli/test_run_command.py::test_run_started_with_sigint_ignored_ignores_it",
    ),
    Fault(
        name="run waits for a lost attempt",
        file="app/runs.py",
        right="            one.check(run)\n",
        wrong="",
        test="tests/cli/test_full_disk.py::test_run_with_full_databases_fails_and_leaves_table_unchanged",
    ),
    Fault(
        name="run waits for a queue on a full disk",
        file="app/runs.py",
        right="                    one.check_queue()\n",
        wrong="                    pass\n",
        test="tests/cli/test_full_disk.py::test_run_with_full_databases_fails_and_leaves_table_unchanged",
    ),
    # Loads: keys, spools, sizes and states of tables.
    Fault(
        name="duplicate keys loaded",
        file="archive/key_check.py",
        right="    if len(repeated):\n",
        wrong="    if False and len(repeated):\n",
        test="tests/runs/test_key_check.py::test_pull_rejects_a_duplicate_and_does_not_resume_its_pages",
    ),
    Fault(
        name="missing keys loaded",
        file="archive/key_check.py",
        right="missing += _missing(batch, key)",
        wrong="missing += 0",
        test="tests/runs/test_key_check.py::test_row_without_a_key_fails_the_run",
    ),
    Fault(
        name="hash collision rejected as a duplicate",
        file="archive/key_check.py",
        right="for one, count in counts.items() if count > 1}",
        wrong="for one, count in counts.items()}",
        test="tests/archive/test_key_check.py::test_hash_collisions_are_not_duplicates",
    ),
    Fault(
        name="repeated object of an incremental run rejected",
        file="runs/loads/load.py",
        right="unique = plan.changes is None or ledger.whole",
        wrong="unique = True",
        test="tests/runs/test_key_check.py::test_incremental_run_may_read_an_object_twice",
    ),
    Fault(
        name="pages with a duplicate resumed",
        file="runs/pull.py",
        right="        archive.remove()\n        raise",
        wrong="        raise",
        test="tests/runs/test_key_check.py::test_pull_rejects_a_duplicate_and_does_not_resume_its_pages",
    ),
    Fault(
        name="contradictory spool resumed",
        file="runs/resume.py",
        right="    if problem is None:\n        return []\n    _empty(folder)",
        wrong="    if problem is None or problem:\n        return []\n    _empty(folder)",
        test="tests/acceptance/test_resuming.py::test_duplicate_pages_are_read_again",
    ),
    Fault(
        name="overlapping windows resumed",
        file="extract/spool_check.py",
        right="            if overlaps:",
        wrong="            if overlaps and not upper:",
        test="tests/extract/test_spool_check.py::test_contradictory_pages_are_detected",
    ),
    Fault(
        name="page with a wrong cursor resumed",
        file="extract/spool_check.py",
        right="return None if page.cursor == expected else",
        wrong="return None if page.cursor else",
        test="tests/extract/test_spool_check.py::test_contradictory_pages_are_detected",
    ),
    Fault(
        name="malformed frame crashes",
        file="archive/spool.py",
        right="                _check_types(decoded, _HEADER)\n",
        wrong="",
        test="tests/archive/test_spool.py::test_frame_that_is_not_a_page_is_a_run_error",
    ),
    Fault(
        name="shrunk table loaded",
        file="runs/loads/size_check.py",
        right="rows * 2 < before",
        wrong="rows * 2 < 0",
        test="tests/runs/test_size_check.py::test_run_that_would_remove_more_than_half_fails_and_resumes_from_its_archive",
    ),
    Fault(
        name="rows marked as deleted counted",
        file="runs/loads/size_check.py",
        right='"_deleted" IS NOT TRUE',
        wrong='"_deleted" IS NOT NULL OR TRUE',
        test="tests/runs/test_size_check.py::test_rows_marked_as_deleted_do_not_count",
    ),
    Fault(
        name="tables with different options compared",
        file="runs/loads/size_check.py",
        right="    return all(scope.get(name) == now.get(name)",
        wrong="    return all(scope or now and name",
        test="tests/runs/test_size_check.py::test_table_size_is_not_compared_after_changed_options",
    ),
    Fault(
        name="first of several tables loaded before the size check",
        file="runs/loads/load.py",
        right="        if len(targets) > 1:\n            self._check_sizes(targets)",
        wrong="        if not targets:\n            self._check_sizes(targets)",
        test="tests/runs/test_size_check.py::test_shrinking_table_prevents_the_load_of_all_tables",
    ),
    Fault(
        name="status verified shown for a paused dataset",
        file="app/datasets/status.py",
        right='    if dataset.pause is not None and dataset.pause.code == "manual":',
        wrong="    if dataset.pause is not None and not dataset.name:",
        test="tests/web/test_dataset_status.py::test_first_applicable_status_is_shown",
    ),
    Fault(
        name="rollback missing from the status",
        file="app/datasets/status.py",
        right="    if version.id == read.id:",
        wrong="    if version.id == read.id or by:",
        test="tests/web/test_dataset_status.py::test_rolled_back_table_shows_version_and_next_update",
    ),
    # Fields without a column, arguments of the Python library, and decisions that must not depend on message texts.
    Fault(
        name="known drift not updated",
        file="columns/stripe_columns.json",
        right='"refund": [\n',
        wrong='"refund": [\n["customer", "id", "customer"],\n',
        test="tests/columns/test_known_drift.py::test_listed_fields_have_no_column",
    ),
    Fault(
        name="preview of another schedule accepted",
        file="extract/preview.py",
        right="    if named != sent:\n        detail",
        wrong="    if named and sent and named != sent:\n        detail",
        test="tests/extract/test_embedded.py::test_a_preview_of_another_invoice_is_requested_again",
    ),
    Fault(
        name="lines of an earlier preview retained",
        file="extract/preview.py",
        right="        invoice.clear()\n        invoice.update(again)\n",
        wrong="",
        test="tests/extract/test_embedded.py::test_repeated_preview_replaces_lines_and_amounts_together",
    ),
    Fault(
        name="short pages with different missing rows accepted",
        file="extract/validation.py",
        right="and self.identifiers == other.identifiers",
        wrong="",
        test="tests/extract/test_validation.py::test_short_pages_that_omit_different_rows_fail_the_run",
    ),
    Fault(
        name="limit of any type accepted",
        file="arguments.py",
        right="else index(given)",
        wrong="else given",
        test="tests/runs/test_plan.py::test_limit_that_is_not_a_whole_number_is_rejected_with_its_value",
    ),
    Fault(
        name="escaped value lost",
        file="columns/flatten.py",
        right="if not derived and value is not None:",
        wrong='if not derived and value is not None and kind != "wrong type":',
        test="tests/acceptance/test_escaped_values.py::test_lone_surrogates_are_loaded_escaped_with_one_warning",
    ),
    Fault(
        name="step detected by message",
        file="web/pages/runs.py",
        right='line.fields.get("step") == LOAD_STEP',
        wrong='line.message.startswith("Loading into ")',
        test="tests/web/test_runs.py::test_step_of_run_comes_from_log_fields",
    ),
    Fault(
        name="load logged without its step",
        file="runs/loads/load.py",
        right=", step=LOAD_STEP)",
        wrong=")",
        test="tests/cli/test_runs_commands.py::test_logs_prints_lines_and_following_ends_with_the_run",
    ),
    Fault(
        name="failed query without a code",
        file="errors.py",
        right=", code=QUERY_FAILED",
        wrong="",
        test="tests/destinations/test_conformance.py::test_invalid_query_raises_query_failed",
    ),
    Fault(
        name="missing folder without a hint",
        file="app/datasets/service.py",
        right="if error.code == FOLDER_MISSING else",
        wrong="if error.code is None else",
        test="tests/cli/test_datasets.py::test_invalid_options_are_rejected_and_nothing_is_stored",
    ),
    Fault(
        name="canceled run without a result",
        file="runs/outcome.py",
        right='"info", f"Canceled; {left}", left=left)',
        wrong='"info", f"Canceled; {left}")',
        test="tests/cli/test_run_command.py::test_ctrl_c_cancels_run_of_this_process",
    ),
)


def planted(fault: Fault | None, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs the tests on a copy of the program that contains the fault."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-fault-") as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if fault is not None:
            file = source / "counterfoil" / fault.file
            text = file.read_text()
            if text.count(fault.right) != 1:
                raise SystemExit(f"{fault.name}: the text occurs {text.count(fault.right)} times in {fault.file}")
            file.write_text(text.replace(fault.right, fault.wrong))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *tests]
        environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", "TESTS": "all"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def main(names: Sequence[str]) -> int:
    """Returns 0 if every fault (of `names`, or of all) fails its test, and all tests pass without faults."""
    faults = [fault for fault in FAULTS if not names or fault.name in names]
    if unknown := set(names) - {fault.name for fault in faults}:
        raise SystemExit(f"unknown fault: {unknown.pop()!r}")
    sound = planted(None, sorted({fault.test for fault in faults}))
    if sound.returncode:
        print(sound.stdout[-3000:])
        print("The tests fail without any fault.")
        return 1
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        for fault, result in zip(faults, pool.map(lambda fault: planted(fault, [fault.test]), faults), strict=True):
            # 1 is a failed test; other codes mean that the test was not found or could not run.
            detected = result.returncode == 1 and "FAILED " in result.stdout
            missed += not detected
            print(f"{'detected' if detected else 'MISSED  '}  {fault.name:<24}{fault.test}", flush=True)
            if not detected:
                print(result.stdout[-2000:])
    print(f"{len(faults) - missed} of {len(faults)} planted faults were detected.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
