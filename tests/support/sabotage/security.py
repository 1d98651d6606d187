"""What docs/security.md says keeps the doors closed, and what opens each."""

from __future__ import annotations

import json
import operator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from tests.support.sabotage.mechanism import Function, Python, Sabotage, Statement, View, awaiting, constant, returning

TAKEOVER, TRUST = "sql/test_takeover.py", "migration/test_trust.py"
DOOR = "sql/test_press_door.py"
INPUTS = "sql/test_press_inputs.py"
VISIBLE, ACTS, TOKENS = "sql/test_visible_rows.py", "sql/test_acts.py", "sql/test_tokens.py"


def raising(error: str) -> Any:
    """Have a coroutine method raise an error of the domain."""

    def becomes(_: Any) -> Any:
        async def fails(*_: Any, **__: Any) -> Any:
            from rowhooks.domain import errors

            raise getattr(errors, error)("sabotage")

        return fails

    return becomes


def without_halves(_: Any) -> Any:
    """Have rows fail all together where one of them does."""

    async def together(self: Any, cls: Any, table: Any, keys: Any) -> Any:
        from rowhooks.postgres.rows.by_key import load_objects

        async with self._rows_session() as session:
            return await session.run_sync(load_objects, cls, table, keys)

    return together


def all_ours(holders: Any) -> Any:
    """Have whoever holds the leader's lock taken for a daemon."""

    async def altered(*args: Any) -> list[Any]:
        return [replace(holder, is_ours=True) for holder in await holders(*args)]

    return altered


def never_fewer(_: Any) -> Any:
    """Have as many rows loaded at once as ever."""

    def altered(portion: Any, *_: Any) -> None:
        from rowhooks.pipeline.scheduling.loads import MOST

        portion.size = MOST

    return altered


def keeping_places(put_aside: Any) -> Any:
    """Have runs keep their places that wait for a locked table."""

    def altered(preparation: Any, *args: Any) -> Any:
        preparation.release = lambda _: None
        try:
            return put_aside(preparation, *args)
        finally:
            del preparation.release

    return altered


def ending_the_daemon(go_on: Any) -> Any:
    """Have a statement that is refused end the daemon."""

    def altered(daemon: Any, leader: Any, error: Exception, **given: Any) -> Any:
        from rowhooks.domain.errors import ConnectionFailed, LeadershipLost

        if not isinstance(error, ConnectionFailed | LeadershipLost):
            raise error
        return go_on(daemon, leader, error, **given)

    return altered


CLOSED_DOORS = [
    Sabotage(
        1, "functions pin search_path = pg_catalog, pg_temp",
        Function("follow_ddl", "set search_path = pg_catalog, pg_temp", "set search_path = ''"),
        "sql/test_planted_types.py nothing_planted_is_used_when_a_tables_owner_alters_makes_and_drops",
    ),
    Sabotage(
        1, "a capture function does nothing for a table that is not its own",
        Function("is_captured", None, "select true"),
        f"{TAKEOVER} a_capture_function_does_nothing_for_another_table_of_its_owner",
    ),
    Sabotage(
        1, "a type is trusted by its owner",
        Function("json_form", "where r.oid = found_type.typowner and r.rolsuper", "where r.rolsuper"),
        f"{TAKEOVER} a_type_that_turns_evil_later_runs_nothing",
    ),
    Sabotage(
        1, "a capture function notices a column of another type",
        Function(
            "has_same_types", "'pg_catalog.array_eq(array[%s.%s], null::pg_catalog.%I)'",
            "'(%s.%s is null or null::pg_catalog.%I is null)'",
        ),
        f"{TAKEOVER} a_type_that_turns_evil_later_runs_nothing",
    ),
    Sabotage(
        1, "a capture function notices an additional column",
        Function("is_up_to_date", "''select'') is null'", "''select'') is null or true'"),
        f"{TAKEOVER} nor_where_the_refresh_after_ddl_could_not_be_done",
    ),
    Sabotage(
        1, "a capture function computes no column that uses an operator of a user",
        Function("is_computed_by_others", None, "select false"),
        "sql/test_capture_virtual.py an_operator_of_its_owners_runs_nothing",
    ),
    Sabotage(
        1, "capture functions belong to a role that may only append to the log",
        Function("functions_to_hand_over", None, "select null::pg_catalog.text where false"),
        "sql/test_catalogue.py everything_belongs_to_whom_it_should",
    ),
    Sabotage(
        1, "a capture function writes no time, transaction or login of a change",
        View("captured_change", "  c.action,", "  c.action, c.time,"),
        "sql/test_takeover.py a_capture_function_has_no_say_in_what_the_server_knows_of_a_change",
    ),
    Sabotage(
        1, "a superuser's commands refuse what a weaker role may replace",
        Python("rowhooks.postgres.administration.trust:weaker_roles", returning([])),
        f"{TRUST} no_superuser_upgrades_while_somebody_weaker_may_replace_what_it_runs",
    ),
    Sabotage(
        1, "a superuser's commands run only what a superuser has installed",
        Python("rowhooks.postgres.administration.trust:is_approved", returning(True)),
        f"{TRUST} what_was_changed_while_somebody_weaker_could_is_not_run_later_either",
    ),
    Sabotage(
        1, "objects that are not rowhooks' own are refused even if a superuser vouches for them",
        Python("rowhooks.postgres.administration.trust:foreign_objects", returning([])),
        f"{TRUST} what_somebody_weaker_has_planted_is_named_though_a_superuser_vouches_for_the_schema",
    ),
    Sabotage(
        1, "the event triggers run only what a superuser has installed",
        Function("after_ddl", "not rowhooks.is_approved()", "false"),
        f"{TRUST} what_was_changed_while_somebody_weaker_could_is_not_run_later_either",
    ),
    Sabotage(
        1, "the event triggers trust none of their functions by its owner",
        Function("after_ddl", ") is distinct from (", ") is null and null = ("),
        f"{TRUST} a_helper_of_the_event_triggers_does_not_become_trusted_with_its_owner",
    ),
    Sabotage(
        1, "a press turns a row into JSON as the capture does, without a cast of a type's owner",
        Function("recorded_item", "always_quoted(column_name), form", "always_quoted(column_name), 'plain'"),
        f"{DOOR} no_cast_of_a_tables_owner_and_no_check_of_a_domain_runs_as_the_presser",
    ),
    Sabotage(
        1, "a press compares a key with a domain inside it by its text",
        Function("is_checked_inside", None, "select false"),
        f"{DOOR} no_cast_of_a_tables_owner_and_no_check_of_a_domain_runs_as_the_presser",
    ),
    Sabotage(
        1, "a press notices a column of another type",
        Function("find_rows", "types_found is distinct from", "false and types_found is distinct from"),
        f"{DOOR} a_table_that_was_altered_since_the_pressers_transaction_began_is_not_read_as_it_was",
    ),
    Sabotage(
        1, "what a table's policies do for the reader of a list is rolled back",
        Function(
            "answer", "raise exception 'rolled back' using errcode = 'RH000';",
            "return case when is_seen then 'seen' else 'hidden' end;",
        ),
        f"{VISIBLE} what_a_policy_does_as_the_viewer_leaves_nothing_behind",
    ),
    Sabotage(
        1, "a list of changes notices a column of another type",
        Function("answer", "key is not null and types_found = queries[2]", "key is not null"),
        f"{VISIBLE} a_table_that_was_altered_since_the_viewers_transaction_began_is_not_read_as_it_was",
    ),
    Sabotage(
        1, "an act is done by the role in force",
        Function("note_actor", "new.actor := current_user;", "new.actor := session_user;"),
        f"{ACTS} a_security_definer_function_has_the_rights_of_its_owner",
    ),
    Sabotage(
        1, "an act needs the level of its actor",
        Function("check_act", "< pg_catalog.array_position(levels, known.level)", "< 0"),
        f"{ACTS} an_operator_does_what_a_viewer_is_refused",
    ),
    Sabotage(
        1, "no token stands for a superuser or the owner",
        Function("may_have_tokens", None, "select true"),
        f"{TOKENS} a_token_of_a_role_that_has_become_a_superuser_or_the_owner_stands_for_nobody",
    ),
    Sabotage(
        1, "a token is for a role that its creator may take up",
        Function("may_take_role", None, "select true"),
        f"{TOKENS} tokens_for_other_roles_are_created_by_who_may_take_them_up",
    ),
    Sabotage(
        1, "a token ends when its creator may no longer take its role up",
        Function("role_of_token", "rowhooks.may_take_role(r.rolname, t.role_oid)", "true"),
        f"{TOKENS} a_token_ends_when_its_creator_may_no_longer_take_its_role_up",
    ),
    Sabotage(
        2, "a row that could not be read again is recorded without its largest column",
        Function("largest_row", None, "select 2000000000"),
        "sql/test_capture_shapes.py a_row_that_could_not_be_read_again_is_recorded_without_its_largest_column",
    ),
    Sabotage(
        2, "the inputs of a press are bounded by their text",
        Function("checked_inputs", "> 65536 then", "> 655360000 then"),
        f"{INPUTS} large_inputs_are_refused_by_their_text",
    ),
    Sabotage(
        3, "no writer rings if the queue of notifications is half full",
        Function("source_of_bell", "pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5", "true"),
        "sql/test_full_queue.py a_full_queue_fails_no_write",
    ),
    Sabotage(
        4, "a value that cannot be captured costs its column and not the row",
        Function("row_by_columns", "      problem := pg_catalog.left", "      raise; problem := pg_catalog.left"),
        "sql/test_capture_shapes.py a_value_that_jsonb_refuses_costs_its_column_and_not_the_row",
    ),
    Sabotage(
        2, "what a session says of itself is cut to length",
        Function("source_of_session", "pg_catalog.current_setting('rowhooks.context', true), 1000)",
                 "pg_catalog.current_setting('rowhooks.context', true), 1000000)"),
        "sql/test_capture_session.py a_long_claim_is_cut",
    ),
    Sabotage(
        4, "an excluded column stays excluded",
        Function("captured_columns", "(e.attname = a.attname or a.attname = any (t.excluded_columns))", "false"),
        "sql/test_exclude.py its_value_is_in_no_history",
    ),
    Sabotage(
        1, "our own transactions pin their search_path too",
        Python("rowhooks.postgres.connections.search_path:PINNED", constant("select 1")),
        "integration/test_search_path.py a_superusers_commands_call_nothing_that_somebody_else_has_made",
    ),
    Sabotage(
        1, "rows are loaded with row_security off",
        Python("rowhooks.postgres.rows.row_security:OFF", constant({})),
        "integration/test_loading_rows.py the_policies_of_a_table_do_not_run_as_the_daemons_login",
    ),
    Sabotage(
        1, "a login of the receivers' own requests no run in another's name",
        Function("check_recorder", "if is_allowed is not true then", "if false then"),
        "integration/test_receiver_login.py the_receivers_login_touches_nothing_of_rowhooks_that_a_run_does_not_need",
    ),
    Sabotage(
        1, "a login of the receivers' own records only under the present leadership",
        Function("check_recorder", "where f.leader_epoch = new.leader_epoch", "where true"),
        "integration/test_receiver_login.py"
        " the_receivers_login_leaves_no_run_to_leaders_to_come_and_ends_no_other_leaders",
    ),
    Sabotage(
        1, "a view that has taken a table's name is not read",
        Python("rowhooks.postgres.rows.row_security:refuse_views", returning("select 1")),
        "integration/test_loading_keys.py a_view_that_has_taken_a_tables_name_is_not_read",
    ),
    Sabotage(
        2, "rows are loaded one by one if one of them cannot be loaded",
        Python("rowhooks.postgres.rows.loading:PostgresObjects._load_in_halves", without_halves),
        "integration/test_loading_rows.py a_row_that_cannot_be_loaded_costs_its_own_run_alone",
    ),
    Sabotage(
        2, "a locked table blocks no connection that loads rows",
        Python("rowhooks.postgres.rows.row_connections:LOCK_TIMEOUT", constant("0")),
        "integration/test_loading_rows.py tables_that_somebody_has_locked_hold_up_their_own_runs_alone",
    ),
    Sabotage(
        2, "documents are loaded whatever numbers and depth they have",
        Python("rowhooks.postgres.connections.loaders:exact", constant(SimpleNamespace(read=json.loads))),
        "integration/test_loading_rows.py documents_are_loaded_with_numbers_of_any_length_and_however_deep_they_are",
    ),
    Sabotage(
        1, "no code of a type's owner reads a key",
        Statement(
            "rowhooks.postgres.rows.key_columns", "key_columns",
            "where t.typtype operator(pg_catalog.=) 'd'", "where false",
        ),
        "integration/test_loading_keys.py no_check_of_a_domain_runs_as_the_daemons_login",
    ),
    Sabotage(
        1, "a new connection is queried by qualified names only",
        Python(
            "rowhooks.postgres.connections.engines:_options",
            lambda made: lambda *given: {k: v for k, v in made(*given).items() if k != "use_native_hstore"},
        ),
        "integration/test_search_path.py opening_a_receivers_session_calls_nothing_that_somebody_else_has_made",
    ),
    Sabotage(
        2, "a daemon leads although a stranger holds the leader's lock",
        Python("rowhooks.postgres.leadership.lock:LeaderLock._go_round", awaiting(False)),
        "faults/test_blocking.py a_stranger_who_holds_the_leaders_lock_keeps_no_daemon_from_leading_and_is_named",
    ),
    Sabotage(
        2, "a lock that a stranger holds makes no leader",
        Python("rowhooks.postgres.leadership.lock:LeaderLock._holders", all_ours),
        "faults/test_blocking.py a_stranger_who_holds_the_leaders_lock_keeps_no_daemon_from_leading_and_is_named",
    ),
    Sabotage(
        2, "a change that cannot be read is delivered by its key",
        Python("rowhooks.postgres.feed:PostgresFeed._next_without_rows", raising("ConnectionFailed")),
        "integration/test_unreadable.py bytes_that_are_no_text_cost_their_own_rows_alone",
    ),
    Sabotage(
        2, "runs of a locked table take no place in the preparation",
        Python("rowhooks.pipeline.scheduling.preparation:Preparation._without_locked", keeping_places),
        "unit/test_scheduler.py many_runs_of_a_locked_table_leave_their_places_to_others",
    ),
    Sabotage(
        2, "a part of the feed is bounded by the size of its rows as text",
        Statement("rowhooks.postgres.log_rows", "in_part", "where c.text_before < {PART_SIZE}", ""),
        "integration/test_unreadable.py what_a_row_has_as_text_counts_in_the_size_of_a_part",
    ),
    Sabotage(
        2, "rows that prove large are loaded few per query",
        Python("rowhooks.pipeline.scheduling.loads:Portion.learn", never_fewer),
        "integration/test_loading_rows.py of_a_table_whose_rows_are_large_few_are_loaded_at_once",
    ),
    Sabotage(
        2, "a refused statement ends a leadership and not the daemon",
        Python("rowhooks.runtime.daemon:Daemon._reason_to_go_on", ending_the_daemon),
        "integration/test_daemon.py a_statement_that_is_refused_ends_a_leadership_and_not_the_daemon",
    ),
    Sabotage(
        3, "maintenance copies what stays before it takes a lock",
        Function("copy_and_lock", "    if attempt > 0 then", "    if attempt >= 0 then"),
        "sql/test_retention.py nobody_waits_while_what_a_partition_keeps_is_copied",
    ),
    Sabotage(
        4, "a change that cannot be decided starts the hook",
        Python("rowhooks.pipeline.rules:Rule.runs_undecided", constant(False)),
        "integration/test_undecided.py"
        " what_cannot_be_decided_starts_the_hook_with_the_reason_in_its_log_or_is_skipped",
    ),
    Sabotage(
        4, "timestamps with an offset are compared as points in time",
        Python("rowhooks.pipeline.instants:_equal", constant(operator.eq)),
        "integration/test_undecided.py a_writer_s_time_zone_dodges_no_hook",
    ),
    Sabotage(
        4, "a hook that waits for a point in time is not looked up by its text",
        Python("rowhooks.pipeline.rules:instant_of", returning(None)),
        "integration/test_undecided.py a_writer_s_time_zone_dodges_no_hook",
    ),
    Sabotage(
        4, "a press is recorded with its login",
        Function("record_one", "given.presser, session_user", "given.presser, given.presser"),
        "sql/test_press.py a_press_records_the_login_beside_the_role_in_force",
    ),
    Sabotage(
        4, "inputs of a press are checked by the schema of its job",
        Function("record_press", "rowhooks.checked_inputs(new.inputs, (pressed.button).name, its_job)", "new.inputs"),
        f"{INPUTS} inputs_that_the_job_does_not_take_are_refused",
    ),
    Sabotage(
        4, "inputs of a job with sensitive variables are forgotten when the run has ended",
        Function("forget_inputs", "rowhooks.are_inputs_sensitive(new.job_button_id, new.job_id)", "false"),
        f"{INPUTS} sensitive_inputs_are_there_for_the_run_and_for_nobody_else",
    ),
    Sabotage(
        4, "a press of several rows finds each of them with the presser's rights",
        Function("press_with_rows", "if rows_found @? 'strict $[*] ? (@[0] == null)' then", "if false then"),
        "sql/test_press_many.py row_security_of_the_presser_decides_on_each_row",
    ),
    Sabotage(
        4, "each act is written down with its actor and its login",
        Function("perform_act", "values (new.actor, session_user,", "values (session_user, session_user,"),
        f"{ACTS} the_role_in_force_counts_and_the_login_is_written_down_beside_it",
    ),
    Sabotage(
        4, "a run that the actor may not see is not there",
        Function("act_on_runs", "given.noted is distinct from 'true'", "false"),
        f"{ACTS} a_run_that_may_not_be_seen_is_not_there",
    ),
    Sabotage(
        4, "the views of changes and runs are security barriers",
        View("visible_changes", "with (security_barrier)", ""),
        f"{VISIBLE} a_condition_of_a_viewer_never_meets_a_line_that_it_may_not_see",
    ),
    Sabotage(
        4, "columns that a role may not read are left out of changes",
        Function("readable_columns", "and pg_catalog.has_column_privilege(target, a.attnum, 'SELECT')", ""),
        f"{VISIBLE} columns_that_a_viewer_may_not_read_are_left_out",
    ),
    Sabotage(
        4, "what stands for a row is left out if it may come from a column that a role may not read",
        Function("readable_repr", None, "select repr"),
        f"{VISIBLE} a_representation_from_a_column_that_a_viewer_may_not_read_is_left_out",
    ),
    Sabotage(
        4, "changes and runs of a row are for whom row security shows it",
        Function("answer", "execute queries[3] into is_seen using key;", "is_seen := true;"),
        f"{VISIBLE} what_happened_to_a_row_is_for_those_whom_its_policies_show_it",
    ),
    Sabotage(
        4, "the name of a run's row is left out if a column that once stood for rows may not be read",
        View("table_access", "t.former_reprs || t.repr_number", "array[t.repr_number]"),
        f"{VISIBLE} a_run_does_not_tell_a_name_from_a_column_that_stands_for_the_row_no_more",
    ),
    Sabotage(
        4, "a role sees what has become of its own presses alone",
        View("my_presses", "and r.db_user = current_user", ""),
        "sql/test_row_buttons.py the_presser_sees_what_has_become_of_its_press_and_nobody_elses",
    ),
    Sabotage(
        4, "the view of a role's presses is a security barrier",
        View("my_presses", "with (security_barrier)", ""),
        "sql/test_row_buttons.py a_condition_of_the_reader_never_sees_other_presses",
    ),
    Sabotage(
        4, "of a failure the presser sees what is meant for it",
        View(
            "my_presses",
            "when r.exception_type in ('rowhooks.domain.errors.JobFailed', 'rowhooks.domain.errors.InvalidInputs')",
            "when true",
        ),
        "sql/test_row_buttons.py a_failure_says_to_the_presser_what_is_meant_for_it",
    ),
    Sabotage(
        1, "the buttons of a row are asked for as the person, or not at all",
        Python("rowhooks.postgres.embedded_buttons:_check_in_force", returning(None)),
        "web/test_embed_starlette.py a_session_without_transactions_is_refused_before_it_shows_anything",
    ),
    Sabotage(
        4, "a page of another site presses no button in an application",
        Python("rowhooks.web.embed.answers:comes_from_here", returning(True)),
        "web/test_embed_starlette.py a_page_of_another_site_presses_nothing",
    ),
    Sabotage(
        4, "a token for buttons is signed",
        Python("rowhooks.domain.button_tokens:_is_signature", returning(True)),
        "web/test_embed_console.py another_token_is_refused",
    ),
    Sabotage(
        4, "a token for buttons is for one row",
        Python("rowhooks.web.embed.answers:Asker.check_row", returning(None)),
        "web/test_embed_console.py a_token_is_for_one_row_and_one_person",
    ),
    Sabotage(
        4, "a token for buttons tells of the presses on its row alone",
        Python("rowhooks.postgres.embedded_buttons:_is_on", returning(True)),
        "web/test_embed_console.py a_token_tells_of_the_presses_on_its_row_alone",
    ),
]  # fmt: skip
