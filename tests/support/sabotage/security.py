"""What docs/security.md says keeps the doors closed, and what opens each."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from tests.support.sabotage.mechanism import Function, Python, Sabotage, constant, returning

TAKEOVER, TRUST = "sql/test_takeover.py", "migration/test_trust.py"
DOOR = "sql/test_press_door.py"


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
        from rowhooks.postgres.rows.mapping import load_objects

        async with self._rows_session() as session:
            return await session.run_sync(load_objects, cls, table, keys)

    return together


CLOSED_DOORS = [
    Sabotage(
        1, "functions pin search_path = pg_catalog, pg_temp",
        Function("after_ddl", "set search_path = pg_catalog, pg_temp", "set search_path = ''"),
        "sql/test_planted_types.py nothing_planted_is_used_when_a_tables_owner_alters_makes_and_drops",
    ),
    Sabotage(
        1, "a capture function does nothing for a table that is not its own",
        Function("is_captured", None, "select true"),
        f"{TAKEOVER} a_capture_function_does_nothing_for_another_table_of_its_owner",
    ),
    Sabotage(
        1, "a type is trusted by who owns it",
        Function("json_form", "where r.oid = found_type.typowner and r.rolsuper", "where r.rolsuper"),
        f"{TAKEOVER} a_type_is_not_trusted_because_it_belongs_to_an_extension",
    ),
    Sabotage(
        1, "a capture function notices a column of another type",
        Function(
            "is_up_to_date", "'pg_catalog.pg_typeof(%s.%s) operator(pg_catalog.=) %s::pg_catalog.oid'",
            "'(%1$s.%2$s is null or true or %3$s is null)'",
        ),
        f"{TAKEOVER} a_type_that_turns_evil_later_runs_nothing",
    ),
    Sabotage(
        1, "a capture function notices a column more",
        Function("is_up_to_date", "''select'') is null'", "''select'') is null or true'"),
        f"{TAKEOVER} nor_where_the_refresh_after_ddl_could_not_be_done",
    ),
    Sabotage(
        1, "what operators of others compute is not computed by a capture function",
        Function("is_computed_by_others", None, "select false"),
        "sql/test_capture_virtual.py an_operator_of_its_owners_runs_nothing",
    ),
    Sabotage(
        1, "capture functions belong to a role that may append to the log and nothing else",
        Function("is_handed_over", None, "select true"),
        "sql/test_catalogue.py everything_belongs_to_whom_it_should",
    ),
    Sabotage(
        1, "a superuser's commands refuse what somebody weaker may replace",
        Python("rowhooks.postgres.administration.trust:weaker_roles", returning([])),
        f"{TRUST} no_superuser_upgrades_while_somebody_weaker_may_replace_what_it_runs",
    ),
    Sabotage(
        1, "a superuser's commands run only what a superuser has installed",
        Python("rowhooks.postgres.administration.trust:is_approved", returning(True)),
        f"{TRUST} what_was_changed_while_somebody_weaker_could_is_not_run_later_either",
    ),
    Sabotage(
        1, "what is not rowhooks' own is refused though a superuser vouches for it",
        Python("rowhooks.postgres.administration.trust:foreign_objects", returning([])),
        f"{TRUST} what_somebody_weaker_has_planted_is_named_though_a_superuser_vouches_for_the_schema",
    ),
    Sabotage(
        1, "the event triggers run only what a superuser has installed",
        Function("after_ddl", "if is_approved is not true then", "if false then"),
        f"{TRUST} what_was_changed_while_somebody_weaker_could_is_not_run_later_either",
    ),
    Sabotage(
        1, "a press makes a row into JSON as the capture does, by no cast of a type's owner",
        Function("recorded_item", "always_quoted(column_name), form", "always_quoted(column_name), 'plain'"),
        f"{DOOR} no_cast_of_a_tables_owner_and_no_check_of_a_domain_runs_as_the_presser",
    ),
    Sabotage(
        1, "a press compares a key with a domain inside of it by its text",
        Function("is_checked_inside", None, "select false"),
        f"{DOOR} no_cast_of_a_tables_owner_and_no_check_of_a_domain_runs_as_the_presser",
    ),
    Sabotage(
        1, "a press notices a column of another type",
        Function("find_pressed_row", "types_found is distinct from", "false and types_found is distinct from"),
        f"{DOOR} a_table_that_was_altered_since_the_pressers_transaction_began_is_not_read_as_it_was",
    ),
    Sabotage(
        2, "a row that could not be read again is recorded without its largest column",
        Function("largest_row", None, "select 2000000000"),
        "sql/test_capture_shapes.py a_row_that_could_not_be_read_again_is_recorded_without_its_largest_column",
    ),
    Sabotage(
        3, "the bell is left alone where the queue of notifications is half full",
        Function("source_of_bell", "pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5", "true"),
        "sql/test_full_queue.py a_full_queue_fails_no_write",
    ),
    Sabotage(
        4, "what cannot be captured costs its column and not the row",
        Function("row_by_columns", "      problem := pg_catalog.left", "      raise; problem := pg_catalog.left"),
        "sql/test_capture_shapes.py a_value_that_jsonb_refuses_costs_its_column_and_not_the_row",
    ),
    Sabotage(
        2, "what a session says of itself is cut",
        Function("source_of_session", "pg_catalog.current_setting('rowhooks.context', true), 1000)",
                 "pg_catalog.current_setting('rowhooks.context', true), 1000000)"),
        "sql/test_capture_session.py a_long_claim_is_cut",
    ),
    Sabotage(
        4, "a column that is kept out stays out",
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
        1, "a login of the receivers' own asks for no run in another's name",
        Function("check_recorder", "if is_allowed is not true then", "if false then"),
        "integration/test_receiver_login.py the_receivers_login_touches_nothing_of_rowhooks_that_a_run_does_not_need",
    ),
    Sabotage(
        1, "a login of the receivers' own records nothing but under the leadership in force",
        Function("check_recorder", "where f.leader_epoch = new.leader_epoch", "where true"),
        "integration/test_receiver_login.py the_receivers_login_leaves_no_run_to_leaders_to_come_and_ends_no_other_leaders",
    ),
    Sabotage(
        1, "a view that has taken a table's name is not read",
        Python("rowhooks.postgres.rows.row_security:NO_VIEWS", constant("select 1")),
        "integration/test_loading_keys.py a_view_that_has_taken_a_tables_name_is_not_read",
    ),
    Sabotage(
        2, "rows are loaded one by one where one cannot be",
        Python("rowhooks.postgres.rows.loading:PostgresObjects._load_in_halves", without_halves),
        "integration/test_loading_rows.py a_row_that_cannot_be_loaded_costs_its_own_run_alone",
    ),
    Sabotage(
        2, "a table that is locked keeps no connection that loads rows",
        Python("rowhooks.postgres.rows.loading:LOCK_TIMEOUT", constant("0")),
        "integration/test_loading_rows.py tables_that_somebody_has_locked_hold_up_their_own_runs_alone",
    ),
    Sabotage(
        2, "documents are loaded whatever numbers and depth they have",
        Python("rowhooks.postgres.connections.loaders:exact", constant(SimpleNamespace(read=json.loads))),
        "integration/test_loading_rows.py documents_are_loaded_with_numbers_of_any_length_and_however_deep_they_are",
    ),
    Sabotage(
        4, "a press is recorded with its login",
        Function("record_press", "new.presser, session_user, nullif", "new.presser, new.presser, nullif"),
        "sql/test_press.py a_press_records_the_login_beside_the_role_in_force",
    ),
]  # fmt: skip
