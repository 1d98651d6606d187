# ruff: noqa: E501  (what is replaced stands as it is)
"""What docs/security.md says keeps the doors closed; tests/faults/sabotage.py takes each away and sees its test fail."""

from __future__ import annotations

from tests.faults.mechanism import Sabotage

SQL = "sql/functions"
TAKEOVER, TRUST = "sql/test_takeover.py", "migration/test_trust.py"
DOOR = "sql/test_press_door.py"

CLOSED_DOORS = [
    Sabotage(
        1, "functions pin search_path = pg_catalog, pg_temp", "sql/superuser/event_triggers.sql",
        "set search_path = pg_catalog, pg_temp", "set search_path = ''",
        "sql/test_planted_types.py nothing_planted_is_used_when_a_tables_owner_alters_makes_and_drops",
    ),
    Sabotage(
        1, "a capture function does nothing for a table that is not its own", f"{SQL}/source_of_capture.sql",
        "if not rowhooks.is_captured(tg_relid, %2$s) then", "if false then",
        f"{TAKEOVER} a_capture_function_does_nothing_for_another_table_of_its_owner",
    ),
    Sabotage(
        1, "a type is trusted by who owns it", f"{SQL}/captured_columns.sql",
        "where r.oid = found_type.typowner and r.rolsuper", "where r.rolsuper",
        f"{TAKEOVER} a_type_is_not_trusted_because_it_belongs_to_an_extension",
    ),
    Sabotage(
        1, "a capture function notices a column of another type", f"{SQL}/row_as_json.sql",
        "'pg_catalog.pg_typeof(%s.%s) operator(pg_catalog.=) %s::pg_catalog.oid',", "'(%1$s.%2$s is null or true or %3$s is null)',",
        f"{TAKEOVER} a_type_that_turns_evil_later_runs_nothing",
    ),
    Sabotage(
        1, "a capture function notices a column more", f"{SQL}/row_as_json.sql",
        "''select'') is null',", "''select'') is null or true',",
        f"{TAKEOVER} nor_where_the_refresh_after_ddl_could_not_be_done",
    ),
    Sabotage(
        1, "what operators of others compute is not computed by a capture function", f"{SQL}/captured_columns.sql",
        "select a.attgenerated = 'v' and rowhooks.is_computed_by_others(target_id, carrier, a.attname)", "select false",
        "sql/test_capture_virtual.py an_operator_of_its_owners_runs_nothing",
    ),
    Sabotage(
        1, "capture functions belong to a role that may append to the log and nothing else", f"{SQL}/track.sql",
        "if not rowhooks.is_handed_over(tracked_id) then", "if false then",
        "sql/test_catalogue.py everything_belongs_to_whom_it_should",
    ),
    Sabotage(
        1, "a superuser's commands refuse what somebody weaker may replace", "daemon/rowhooks/postgres/administration/trust.py",
        "    for role in weaker_roles(conn):\n        raise PermissionDenied(", "    for role in ():\n        raise PermissionDenied(",
        f"{TRUST} no_superuser_upgrades_while_somebody_weaker_may_replace_what_it_runs",
    ),
    Sabotage(
        1, "a superuser's commands run only what a superuser has installed", "daemon/rowhooks/postgres/administration/trust.py",
        "elif not is_approved(conn):", "elif False:",
        f"{TRUST} what_was_changed_while_somebody_weaker_could_is_not_run_later_either",
    ),
    Sabotage(
        1, "what is not rowhooks' own is refused though a superuser vouches for it", "daemon/rowhooks/postgres/administration/trust.py",
        'if not found.startswith("function ")', "if not found",
        f"{TRUST} what_somebody_weaker_has_planted_is_named_though_a_superuser_vouches_for_the_schema",
    ),
    Sabotage(
        1, "the event triggers run only what a superuser has installed", "sql/superuser/event_triggers.sql",
        "if is_approved is not true then", "if false then",
        f"{TRUST} what_was_changed_while_somebody_weaker_could_is_not_run_later_either",
    ),
    Sabotage(
        1, "a press makes a row into JSON as the capture does, by no cast of a type's owner", f"{SQL}/press.sql",
        "rowhooks.json_form(a.atttypid)), ', ' order by", "'plain'), ', ' order by",
        f"{DOOR} no_cast_of_a_tables_owner_and_no_check_of_a_domain_runs_as_the_presser",
    ),
    Sabotage(
        1, "a press compares a key with a domain inside of it by its text", f"{SQL}/press.sql",
        "rowhooks.is_checked_inside(y.oid) as is_by_text", "false as is_by_text",
        f"{DOOR} no_cast_of_a_tables_owner_and_no_check_of_a_domain_runs_as_the_presser",
    ),
    Sabotage(
        1, "a press notices a column of another type", f"{SQL}/press.sql",
        "types_found is distinct from pg_catalog.array_remove", "false and types_found is distinct from pg_catalog.array_remove",
        f"{DOOR} a_table_that_was_altered_since_the_pressers_transaction_began_is_not_read_as_it_was",
    ),
    Sabotage(
        2, "a row that could not be read again is recorded without its largest column", f"{SQL}/row_as_json.sql",
        "select 80000000", "select 2000000000",
        "sql/test_capture_shapes.py a_row_that_could_not_be_read_again_is_recorded_without_its_largest_column",
    ),
    Sabotage(
        3, "the bell is left alone where the queue of notifications is half full", f"{SQL}/ring_bell.sql",
        "'if pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5 then '", "'if true then '",
        "sql/test_full_queue.py a_full_queue_fails_no_write",
    ),
    Sabotage(
        4, "what cannot be captured costs its column and not the row", f"{SQL}/row_as_json.sql",
        "      problem := pg_catalog.left(pg_catalog.concat_ws", "      raise; problem := pg_catalog.left(pg_catalog.concat_ws",
        "sql/test_capture_shapes.py a_value_that_jsonb_refuses_costs_its_column_and_not_the_row",
    ),
    Sabotage(
        2, "what a session says of itself is cut", f"{SQL}/source_of_capture.sql",
        "pg_catalog.left(pg_catalog.current_setting('rowhooks.context', true), 1000)", "pg_catalog.current_setting('rowhooks.context', true)",
        "sql/test_capture_session.py a_long_claim_is_cut",
    ),
    Sabotage(
        4, "a column that is kept out stays out", f"{SQL}/captured_columns.sql",
        "and (e.attname = a.attname or a.attname = any (t.excluded_columns))", "and false",
        "sql/test_exclude.py its_value_is_in_no_history",
    ),
    Sabotage(
        1, "our own transactions pin their search_path too", "daemon/rowhooks/postgres/connections/search_path.py",
        'PINNED = f"set local search_path = {SEARCH_PATH}"', 'PINNED = "select 1"',
        "integration/test_search_path.py a_superusers_commands_call_nothing_that_somebody_else_has_made",
    ),
    Sabotage(
        1, "rows are loaded with row_security off", "daemon/rowhooks/postgres/rows/loading.py",
        "({} if row_security else OFF)", "{}",
        "integration/test_loading_rows.py the_policies_of_a_table_do_not_run_as_the_daemons_login",
    ),
    Sabotage(
        1, "a login of the receivers' own asks for no run in another's name", "sql/functions/run_asked_for.sql",
        "if is_allowed is not true then", "if false then",
        "integration/test_receiver_login.py the_receivers_login_touches_nothing_of_rowhooks_that_a_run_does_not_need",
    ),
    Sabotage(
        1, "a login of the receivers' own records nothing but under the leadership in force", "sql/functions/run_asked_for.sql",
        "where f.lease = new.lease);", "where f.lease = new.lease or true);",
        "integration/test_receiver_login.py the_receivers_login_leaves_no_run_to_leaders_to_come_and_ends_no_other_leaders",
    ),
    Sabotage(
        1, "a key is read by no code of a type's owner", "daemon/rowhooks/postgres/rows/mapping.py",
        "where t.typtype operator(pg_catalog.=) 'd'", "where false",
        "integration/test_loading_keys.py no_check_of_a_domain_runs_as_the_daemons_login",
    ),
    Sabotage(
        1, "a view that has taken a table's name is not read", "daemon/rowhooks/postgres/rows/loading.py",
        "*([] if row_security else [NO_VIEWS.format(is_local=is_local)])", "*[]",
        "integration/test_loading_keys.py a_view_that_has_taken_a_tables_name_is_not_read",
    ),
    Sabotage(
        1, "a new connection is asked by qualified names alone", "daemon/rowhooks/postgres/connections/connect.py",
        '"use_native_hstore": False,', "",
        "integration/test_search_path.py opening_a_receivers_session_calls_nothing_that_somebody_else_has_made",
    ),
    Sabotage(
        2, "a stranger who holds the leader's lock is gone round", "daemon/rowhooks/postgres/leadership/lock.py",
        "if holders and await self._go_round(key, holders):", "if False and await self._go_round(key, holders):",
        "faults/test_bystanders.py a_stranger_who_holds_the_leaders_lock_keeps_no_daemon_from_leading_and_is_named",
    ),
    Sabotage(
        2, "a lock that a stranger holds makes no leader", "daemon/rowhooks/postgres/leadership/lock.py",
        "if any(holder.is_ours for holder in holders):", "if holders:",
        "faults/test_bystanders.py a_stranger_who_holds_the_leaders_lock_keeps_no_daemon_from_leading_and_is_named",
    ),
    Sabotage(
        2, "a change that cannot be read is delivered by its key", "daemon/rowhooks/postgres/feed.py",
        "return await self._next_without_rows(place, error.reason)", "raise ConnectionFailed(error.reason) from error",
        "integration/test_unreadable.py bytes_that_are_no_text_cost_their_own_rows_alone",
    ),
    Sabotage(
        2, "rows are loaded one by one where one cannot be", "daemon/rowhooks/postgres/rows/loading.py",
        "            if len(keys) > 1:\n                half = len(keys) // 2\n                return await self._load_in_halves", "            if len(keys) > 10**9:\n                half = len(keys) // 2\n                return await self._load_in_halves",
        "integration/test_loading_rows.py a_row_that_cannot_be_loaded_costs_its_own_run_alone",
    ),
    Sabotage(
        2, "a table that is locked keeps no connection that loads rows", "daemon/rowhooks/postgres/rows/loading.py",
        'limits = {"lock_timeout": LOCK_TIMEOUT} |', "limits = {} |",
        "integration/test_loading_rows.py tables_that_somebody_has_locked_hold_up_their_own_runs_alone",
    ),
    Sabotage(
        2, "runs of a locked table keep no place among what is got ready", "daemon/rowhooks/pipeline/scheduling/preparation.py",
        "                self._put_aside(ticket)\n", "",
        "unit/test_scheduler.py many_runs_of_a_locked_table_leave_their_places_to_others",
    ),
    Sabotage(
        2, "a part of the feed is bounded by what its rows have as text", "daemon/rowhooks/postgres/log_rows.py",
        'where=f"where c.text_before < {PART_SIZE}",', 'where="",',
        "integration/test_unreadable.py what_a_row_has_as_text_counts_in_the_size_of_a_part",
    ),
    Sabotage(
        2, "rows that prove large are loaded few at once", "daemon/rowhooks/pipeline/scheduling/loads.py",
        "self.size = min(largest, GROWTH * self.size, MOST)", "self.size = MOST",
        "integration/test_loading_rows.py of_a_table_whose_rows_are_large_few_are_loaded_at_once",
    ),
    Sabotage(
        2, "documents are loaded whatever numbers and depth they have", "daemon/rowhooks/postgres/connections/loaders.py",
        "return exact.read(document if", 'return __import__("json").loads(document if',
        "integration/test_loading_rows.py documents_are_loaded_with_numbers_of_any_length_and_however_deep_they_are",
    ),
    Sabotage(
        2, "a refused statement ends a leadership and not the daemon", "daemon/rowhooks/runtime/daemon.py",
        "not (is_lost or lead.was_ready)", "not is_lost",
        "integration/test_daemon.py a_statement_that_is_refused_ends_a_leadership_and_not_the_daemon",
    ),
    Sabotage(
        3, "housekeeping copies what stays before it takes a lock", f"{SQL}/drop_partition.sql",
        "    if attempt > 0 then\n      is_locked", "    if attempt >= 0 then\n      is_locked",
        "sql/test_retention.py nobody_waits_while_what_a_partition_keeps_is_copied",
    ),
    Sabotage(
        4, "what cannot be decided starts the hook", "daemon/rowhooks/pipeline/matcher.py",
        'return self.hook.on_undecided == "run"', "return False",
        "integration/test_undecided.py what_cannot_be_decided_starts_the_hook_with_the_reason_in_its_log_or_is_skipped",
    ),
    Sabotage(
        4, "timestamps with an offset are compared as moments", "daemon/rowhooks/pipeline/instants.py",
        "return awaited is not None and awaited == instant_of(a)", "return False",
        "integration/test_undecided.py a_writer_s_time_zone_dodges_no_hook",
    ),
    Sabotage(
        4, "a hook that waits for a moment is not looked up by its text", "daemon/rowhooks/pipeline/matcher.py",
        "isinstance(value, dict | list) or instant_of(value) is not None for", "isinstance(value, dict | list) for",
        "integration/test_undecided.py a_writer_s_time_zone_dodges_no_hook",
    ),
    Sabotage(
        4, "a press is recorded with its login", f"{SQL}/press.sql",
        "'press', new.presser, session_user, nullif", "'press', new.presser, new.presser, nullif",
        "sql/test_press.py a_press_records_the_login_beside_the_role_in_force",
    ),
]  # fmt: skip
