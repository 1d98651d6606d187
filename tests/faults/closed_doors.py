# ruff: noqa: E501  (what is replaced stands as it is)
"""What docs/security.md says keeps the doors closed; tests/faults/sabotage.py takes each away and sees its test fail."""

from __future__ import annotations

from tests.faults.mechanism import Sabotage

SQL = "sql/functions"
TAKEOVER, TRUST = "sql/test_takeover.py", "migration/test_trust.py"

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
        1, "a type is trusted by who owns it", f"{SQL}/row_as_json.sql",
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
        1, "capture functions belong to a role that may append to the log and nothing else", f"{SQL}/track.sql",
        "if not rowhooks.is_handed_over(tracked_id) then", "if false then",
        "sql/test_catalogue.py everything_belongs_to_whom_it_should",
    ),
    Sabotage(
        1, "no event trigger is made while somebody weaker may replace what it runs", "daemon/rowhooks/postgres/trust.py",
        "if not (strangers or members):", "if not strangers:",
        f"{TRUST} no_event_trigger_is_made_while_somebody_weaker_may_replace_what_it_runs",
    ),
    Sabotage(
        1, "what is not rowhooks' own keeps the event triggers away", "daemon/rowhooks/postgres/trust.py",
        "if not (strangers or members):", "if not members:",
        f"{TRUST} what_somebody_weaker_has_planted_is_named_and_keeps_the_event_triggers_away",
    ),
    Sabotage(
        1, "the event triggers run only what a superuser has installed", "sql/superuser/event_triggers.sql",
        "elsif approved is distinct from present then", "elsif false then",
        f"{TRUST} what_was_changed_while_somebody_weaker_could_is_not_run_later_either",
    ),
    Sabotage(
        1, "a superuser's commands refuse what somebody weaker may replace", "daemon/rowhooks/postgres/trust.py",
        "if is_superuser(conn) and (weaker", "if False and (weaker",
        f"{TRUST} a_superuser_s_commands_refuse_to_run_what_somebody_weaker_may_replace",
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
        4, "a column that is kept out stays out", f"{SQL}/row_as_json.sql",
        "and (e.attname = a.attname or a.attname = any (t.excluded_columns))", "and false",
        "sql/test_exclude.py its_value_is_in_no_history",
    ),
]  # fmt: skip
