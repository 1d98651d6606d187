# ruff: noqa: E501  (names are as long as they are)
"""What users of rowhooks may rely on, sentence by sentence, and the tests on a real PostgreSQL that show it.

A test is named by its file below tests/ and its name; tests/unit/test_sentences.py sees to it that each is there.
"""

from __future__ import annotations

HOOKS = {
    "A hook needs at least one of create, update, delete.": [
        "sql/test_job_hook.py a_hook_needs_at_least_one_of_create_update_delete",
    ],
    "A hook is enabled by default, a job disabled; a hook whose job cannot run runs nothing, warns once, and is not enabled.": [
        "sql/test_job_hook.py a_hook_is_enabled_by_default_and_a_job_is_not",
        "sql/test_job_hook.py enabling_a_hook_whose_job_cannot_run_is_refused_with_the_jobs_name",
        "integration/test_daemon.py a_hook_whose_job_is_disabled_or_gone_is_warned_about_once",
    ],
    "Two hooks with the same table, job, action and conditions are refused, also on a partial edit.": [
        "sql/test_job_hook.py two_hooks_with_the_same_table_job_action_and_conditions_are_refused",
        "sql/test_job_hook.py a_partial_edit_that_makes_two_hooks_the_same_is_refused",
    ],
    # They were disabled once; so a daemon that was started with another list of receivers lost others' changes for good.
    "When a job is missing from the code that leads, its hooks and buttons wait: nothing is disabled, their changes are kept in order and run when the class is there again; doctor names them and how many wait.": [
        "integration/test_configuration.py when_a_job_is_missing_its_hooks_and_buttons_stay_as_they_are",
        "integration/test_missing_jobs.py changes_of_a_job_that_the_leader_does_not_have_wait_and_run_in_order_before_newer_ones",
        "integration/test_missing_jobs.py a_press_of_a_button_whose_job_is_missing_waits_and_the_presser_is_told",
        "integration/test_missing_jobs.py status_and_doctor_say_what_waits_and_name_what_was_not_kept_until_it_was_replayed",
    ],
    "A hook receiver's write starts no hook; a button receiver's write does.": [
        "integration/test_sentences.py a_hook_receivers_write_starts_no_hook_and_a_button_receivers_does",
        "integration/test_main_job.py a_bad_serial_is_put_back_and_the_reverting_write_starts_nothing",
    ],
    "receive_job_hook is called by keyword; changed_object is read at run time, None for a delete and when the row is gone.": [
        "integration/test_sentences.py the_changed_object_is_read_when_the_run_starts_and_none_when_the_row_is_gone",
    ],
    "A class without its method, with a wrong signature or of both kinds is refused at registration, with file and line.": [
        "integration/test_sentences.py a_class_without_its_method_or_with_a_wrong_one_or_of_both_kinds_is_refused_and_stops_no_other",
    ],
    "Subclasses may override run(); it is what the runner calls.": [
        "integration/test_sentences.py an_overridden_run_is_what_is_called",
    ],
    "The receiver's return value, if JSON can hold it, is kept.": [
        "integration/test_sentences.py a_return_value_is_kept_if_json_can_hold_it",
    ],
    "Two hooks that match one change both run, whatever the other does.": [
        "integration/test_sentences.py two_hooks_that_match_one_change_both_run_whatever_the_other_does",
    ],
    "The hook runs for the author of the change; without a known user it runs with the database user.": [
        "integration/test_sentences.py a_hook_runs_for_the_author_of_the_change_and_without_a_known_one_for_the_database_user",
    ],
    "A change rolled back, wholly or to a savepoint, starts nothing.": [
        "integration/test_sentences.py a_change_rolled_back_wholly_or_to_a_savepoint_starts_nothing",
    ],
    "An update that changes nothing starts nothing.": [
        "integration/test_sentences.py an_update_that_changes_nothing_starts_nothing",
    ],
    "A hook may name columns; an update that touches none of them starts nothing.": [
        "integration/test_hooks.py an_update_that_touches_none_of_the_hooks_columns_starts_nothing",
    ],
    "A hook or button is on its table again once that is tracked again; columns that it asks for are followed through renames.": [
        "integration/test_bindings.py a_table_that_is_tracked_again_has_its_hooks_and_buttons_back_at_once",
        "integration/test_bindings.py what_a_hook_asks_for_follows_columns_that_are_renamed",
        "integration/test_bindings.py a_buttons_text_follows_columns_and_names_one_that_is_gone",
        "integration/test_bindings.py a_declared_hook_follows_a_rename_and_says_at_each_start_what_to_change",
    ],
    "A hook that its table or column was taken from is named by doctor and one warning, with a command that works.": [
        "integration/test_bindings.py a_dropped_column_is_named_once_and_the_printed_command_starts_the_hook_again",
        "integration/test_bindings.py a_table_that_was_swapped_by_rename_is_named_and_the_printed_command_moves_the_hook",
        "integration/test_bindings.py a_table_that_became_a_partition_is_named_and_the_printed_command_moves_the_hook_to_its_root",
    ],
    "Conditions on the new row, the old row and on what changed; checked when saved.": [
        "integration/test_hooks.py conditions_on_the_new_row_the_old_row_and_on_what_changed_decide",
        "integration/test_hooks.py of_null_and_of_a_row_that_is_not_there_nothing_holds",
        "sql/test_job_hook.py malformed_conditions_are_refused_when_the_hook_is_saved_as_python_does",
    ],
    "A condition that cannot be decided at run time starts the hook and says so in the run's log (on_undecided = skip turns that round); a writer must not be able to dodge a policy by an odd value.": [
        "integration/test_undecided.py what_cannot_be_decided_starts_the_hook_with_the_reason_in_its_log_or_is_skipped",
        "integration/test_undecided.py an_odd_value_is_read_and_decided",
        "integration/test_undecided.py a_row_that_could_not_be_captured_starts_the_hook",
        "integration/test_undecided.py what_is_so_whatever_the_odd_value_means_is_decided",
        "integration/test_undecided.py each_run_of_a_batch_has_its_own_reason",
    ],
}

CHANGES = {
    "get_snapshots() as in Nautobot, also when history is pruned; changed() answers without a KeyError.": [
        "integration/test_sentences.py snapshots_and_differences_are_nautobots_also_when_history_is_pruned",
    ],
    "Cascaded deletes and updates are captured, each row, with the user.": [
        "integration/test_sentences.py cascades_are_captured_row_by_row_with_the_user_and_start_hooks",
        "sql/test_capture.py cascaded_deletes_and_updates_are_captured_row_by_row",
    ],
    "object_repr and the data are kept after the object is gone.": [
        "integration/test_sentences.py what_a_row_was_called_and_its_data_are_kept_after_it_is_gone",
    ],
}

RUNS = {
    "A finished status is never overwritten by a lower one.": [
        "integration/test_sentences.py a_finished_status_is_never_overwritten_by_a_lower_one",
        "integration/test_daemon.py a_run_that_another_leader_has_recorded_is_rolled_back",
        "sql/test_results.py a_finished_run_is_not_revoked",
    ],
    "before_start, the receiver, on_success or on_failure, after_return; an exception in any is a failure; fail().": [
        "integration/test_job_options.py before_start_receiver_on_success_and_after_return_run_in_this_order_in_one_transaction",
        "integration/test_job_options.py an_exception_in_any_of_them_is_a_failure_and_rolls_the_run_back",
        "integration/test_job_options.py fail_marks_the_failure_and_lets_the_code_go_on",
        "integration/test_job_options.py fail_in_before_start_skips_the_receiver",
    ],
    "A failure keeps type, message and traceback; secrets are blanked in them and in logs.": [
        "integration/test_job_options.py secrets_are_blanked_in_message_traceback_and_log",
        "integration/test_receivers.py a_failure_rolls_back_the_receivers_writes_and_keeps_its_log_and_traceback",
    ],
    "Log lines are kept when the run's writes are rolled back; levels are counted; a line never fails the run.": [
        "integration/test_job_options.py lines_are_written_while_the_run_goes_on_and_kept_when_it_fails",
        "sql/test_results.py lines_are_counted_per_level",
    ],
    "soft_time_limit raises inside the receiver; time_limit ends the run, and nothing of its transaction remains.": [
        "integration/test_job_options.py the_soft_time_limit_raises_inside_the_receiver",
        "integration/test_job_options.py the_time_limit_ends_the_run_and_nothing_of_its_transaction_remains",
    ],
    "A second run of a singleton waits its turn.": [
        "integration/test_job_options.py a_second_run_of_a_singleton_waits_its_turn",
    ],
    "approval_required is ignored, with one warning.": [
        "integration/test_sentences.py approval_required_is_ignored_with_one_warning",
    ],
    "A finished run can be run again, with the history of both; changes of a span can be replayed into one hook.": [
        "integration/test_requested_runs.py a_failed_run_that_is_retried_succeeds_and_the_history_of_both_stays",
        "integration/test_requested_runs.py a_replay_runs_the_hook_for_old_changes_once_each_and_for_one_row_in_order",
    ],
    "A receiver that never returns, raises BaseException, closes its session or exits costs its own run and no other.": [
        "integration/test_job_options.py a_receiver_that_misbehaves_costs_its_own_run_and_no_other",
        "integration/test_receivers.py a_bad_receiver_costs_its_own_run_and_no_other",
        "integration/test_daemon.py a_receiver_that_hangs_holds_back_its_own_row_and_nothing_else",
    ],
}

BUTTONS = {
    "The fields of a button and their defaults; order, groups, escaped text, hidden and disabled buttons.": [
        "sql/test_buttons.py a_button_has_nautobots_defaults_and_nobodys_permission",
        "sql/test_buttons.py a_text_may_have_500_characters",
        "integration/test_buttons_cli.py a_row_shows_its_buttons_in_order_and_why_one_cannot_be_pressed",
    ],
    "A press is checked in the database: button, job, table, row, and whether the presser may see and press.": [
        "sql/test_press.py what_cannot_run_cannot_be_pressed",
        "sql/test_press.py a_button_of_another_table_is_refused",
        "sql/test_press.py a_row_that_does_not_exist_is_refused",
        "sql/test_press.py row_security_of_the_presser_decides_whether_there_is_such_a_row",
        "sql/test_press.py a_role_that_the_button_does_not_name_may_not_press",
        "integration/test_buttons_cli.py a_role_without_rights_on_the_row_is_refused_by_the_database",
    ],
    "The run gets the live row and the presser; isinstance tells tables apart; has_perm is PostgreSQL's answer.": [
        "integration/test_nautobot_calls.py a_button_receiver_tells_tables_and_permissions_apart",
    ],
    "Pressed and rolled back is not pressed.": [
        "sql/test_press.py what_is_pressed_and_rolled_back_is_not_pressed",
    ],
}

CAPTURE = {
    "INSERT, COPY, ON CONFLICT, UPDATE FROM, MERGE, CTEs, TRUNCATE, cascades and BEFORE triggers: once per changed row.": [
        "sql/test_capture.py an_inserted_row_is_a_create_with_the_new_row",
        "sql/test_capture_statements.py copy_in_every_format_records_its_rows",
        "sql/test_capture_statements.py on_conflict_do_update_of_the_key_is_one_update_with_both_keys",
        "sql/test_capture_statements.py update_from_and_delete_using_record_each_row_with_its_data",
        "sql/test_capture_statements.py merge_records_each_row_with_its_data",
        "sql/test_capture_statements.py every_part_of_a_data_modifying_cte_is_captured",
        "sql/test_capture_statements.py one_truncate_of_several_tables_is_recorded_for_each",
        "sql/test_capture_statements.py cascades_through_several_tables_and_to_oneself_are_captured_in_their_order",
        "sql/test_capture_statements.py what_a_before_trigger_makes_of_an_update_is_what_is_recorded",
        "integration/test_rental_shop.py the_log_of_every_statement_is_what_became_of_the_rows",
    ],
    "Tables with any key or none, any names, any types, partitioned, inherited, foreign, unlogged; others are refused.": [
        "sql/test_capture_tables.py a_table_without_a_key_is_recorded_row_by_row_and_without_one",
        "sql/test_capture_tables.py rows_are_known_by_the_columns_that_were_named",
        "sql/test_capture_tables.py a_value_of_any_type_is_recorded_in_the_row_and_in_its_key",
        "sql/test_capture_tables.py rows_are_recorded_at_whichever_level_they_were_written",
        "sql/test_capture_tables.py a_row_of_a_tracked_child_is_recorded_once_and_with_all_its_columns",
        "sql/test_capture_shapes.py tables_and_columns_may_be_called_anything",
        "sql/test_capture_foreign.py rows_written_through_a_foreign_table_are_recorded",
        "sql/test_track.py what_cannot_be_tracked_is_refused_with_the_way_out",
    ],
    "Rows of megabytes are captured.": [
        "sql/test_capture_shapes.py a_row_of_megabytes_is_recorded_whole",
        "sql/test_capture_statements.py thousands_of_changes_and_megabytes_in_one_transaction_are_captured",
    ],
    "DDL while the daemon runs: no statement fails, and the next change shows the new shape.": [
        "integration/test_ddl.py added_dropped_retyped_and_renamed_columns_are_shown_from_the_next_change_on",
        "integration/test_ddl.py a_renamed_key_keeps_changes_and_their_rows_together",
        "integration/test_ddl.py a_renamed_and_moved_table_keeps_its_hooks_under_its_new_name",
    ],
    "A role without rights on rowhooks writes as before; a hostile search_path changes nothing.": [
        "sql/test_security.py a_role_without_rights_on_rowhooks_writes_as_before",
        "sql/test_hostile_session.py a_hostile_search_path_changes_nothing_of_what_is_captured",
        "integration/test_search_path.py a_daemon_calls_nothing_that_somebody_else_has_made",
        "sql/test_security.py a_cast_to_json_of_the_table_s_owner_does_not_run_with_rowhooks_rights",
    ],
    "A dump and its restore keep tracking, history and configuration; runs on record do not run again.": [
        "integration/test_dump_restore.py a_restore_into_a_new_database_keeps_everything_and_runs_nothing_twice",
        "integration/test_dump_restore.py a_restore_into_another_cluster_goes_on_where_the_dump_stood",
    ],
    "uninstall leaves nothing behind and touches no row; init and track can be repeated.": [
        "migration/test_uninstall.py uninstalling_leaves_the_database_as_it_was",
        "migration/test_schema.py installing_twice_changes_nothing",
        "sql/test_track.py tracking_can_be_repeated",
    ],
    "The application names its user, request and reason; the database user cannot be forged.": [
        "sql/test_capture_session.py the_application_names_its_user_request_and_context",
        "sql/test_capture_session.py the_database_user_is_the_login_even_under_set_role",
    ],
    "A user's AFTER trigger that updates the same row: the log has both changes in their order.": [
        "sql/test_capture.py the_log_has_the_order_of_changes_when_an_after_trigger_updates_the_same_row",
    ],
    "Columns that only a child has are kept; what is not captured is named by doctor.": [
        "sql/test_capture_shapes.py columns_that_only_an_inherited_child_has_are_kept",
        "integration/test_doctor.py a_child_table_that_is_not_tracked_is_named",
    ],
    "A row too large for jsonb, NaN, infinity: the user's transaction never aborts.": [
        "sql/test_capture_shapes.py a_value_too_large_for_jsonb_costs_its_column_and_not_the_row",
        "sql/test_capture_shapes.py values_of_every_kind_are_recorded",
    ],
    "PREPARE TRANSACTION works on tracked tables in two-phase commit mode.": [
        "integration/test_two_phase.py a_prepared_transaction_starts_its_runs_once_it_is_committed_and_delays_nobody",
    ],
    "The skip flag covers cascades, nested triggers and other tables, and never leaks.": [
        "sql/test_capture_session.py cascades_nested_triggers_and_other_tables_of_a_receiver_are_not_recorded",
        "sql/test_capture_session.py the_flag_ends_with_its_transaction",
        "sql/test_capture_session.py the_flag_ends_with_a_transaction_rolled_back",
        "sql/test_capture_session.py nobody_else_hides_a_change_behind_the_flag",
    ],
    "A long transaction in another database of the cluster delays nothing.": [
        "integration/test_feed.py a_long_transaction_in_another_database_of_the_cluster_delays_nothing",
    ],
    "History goes by age, by whole partitions, without long locks; what is still needed stays.": [
        "sql/test_retention.py partitions_whose_ids_are_all_drawn_and_dealt_with_are_history",
        "sql/test_retention.py dropping_gives_up_at_once_while_somebody_has_written_and_nobody_waits_for_it",
        "sql/test_retention.py changes_of_pending_and_failed_runs_outlive_their_partition",
        "sql/test_retention.py nobody_waits_while_what_a_partition_keeps_is_copied",
        "sql/test_retention.py nobody_waits_while_the_default_partition_is_emptied",
    ],
    "A double click on a button runs once where an idempotency key says so.": [
        "sql/test_press.py two_presses_at_once_with_one_key_are_one_press",
    ],
    "After a restore into a cluster with lower transaction ids the feed finds its place.": [
        "sql/test_log.py after_a_restore_what_had_been_dealt_with_is_never_read_again",
        "integration/test_feed.py a_log_restored_into_another_cluster_goes_on_where_it_stood",
    ],
    "Install on a busy database waits no longer than its lock_timeout and leaves nothing half done.": [
        "migration/test_schema.py installing_waits_for_nobodys_lock_on_a_table",
        "migration/test_schema.py an_upgrade_that_does_not_get_a_lock_says_who_holds_it_and_leaves_nothing_half_done",
        "sql/test_track.py tracking_gives_up_when_it_does_not_get_the_lock",
    ],
    "A data-only restore fires no receivers unless asked to.": [
        "sql/test_capture_replication.py a_data_only_restore_under_the_replica_role_records_nothing_unless_asked_to",
        "sql/test_capture_replication.py a_data_only_restore_that_disables_triggers_records_nothing",
    ],
}

FAULTS = {
    "After kill -9, a server's crash, a cut connection or a fail-over every committed change has had its runs, once in the database.": [
        "faults/test_one_fault.py a_connection_cut_at_any_moment_of_recording_loses_nothing_and_repeats_nothing",
        "faults/test_one_fault.py whoever_is_killed_another_goes_on_where_it_was",
        "faults/test_one_fault.py a_leader_that_was_stopped_is_deposed_and_wakes_up_as_a_standby",
        "faults/test_process.py killed_in_the_middle_of_a_run_database_effects_happen_once_and_others_at_least_once",
        "faults/test_leadership.py a_zombie_does_not_go_on_to_the_next_run_of_a_row_whose_last_one_another_leader_has",
        "faults/test_leadership.py a_run_that_a_former_leader_is_just_committing_is_waited_for_and_run_first_if_that_fails",
    ],
    "A transaction left open for hours delays nobody else's changes.": [
        "faults/test_large.py a_transaction_of_a_million_rows_delays_nobody_while_it_is_open_and_comes_whole",
        "integration/test_feed.py a_transaction_left_open_delays_nobody",
    ],
    "Behind PgBouncer in transaction mode everything works with listen_dsn direct; without one the daemon says so and polls.": [
        "faults/test_pgbouncer.py with_a_direct_connection_to_listen_on_everything_works",
        "faults/test_pgbouncer.py without_one_the_daemon_says_so_and_polls",
        "faults/test_pgbouncer.py nothing_of_a_run_is_left_in_a_server_connection",
    ],
    "A backlog of millions is worked off in bounded memory; a burst of one object's changes does not starve the others.": [
        "faults/test_large.py memory_does_not_grow_with_the_backlog",
        "faults/test_large.py a_hot_row_whose_runs_stand_still_keeps_no_other_from_being_dealt_with",
    ],
    "SIGTERM lets running receivers finish for the grace period, takes no new ones, exits 0; a second daemon stands by and says so.": [
        "faults/test_process.py a_signal_lets_the_running_receiver_finish_and_exits_with_0",
        "integration/test_daemon.py stopping_lets_a_running_receiver_finish_and_takes_no_new_one",
        "integration/test_daemon.py a_second_daemon_stands_by_and_takes_over",
    ],
    "The listener's connection dies silently: noticed by a round trip, replaced, nothing lost; so do the others.": [
        "faults/test_leadership.py a_connection_that_has_died_silently_is_noticed_and_nothing_is_lost",
    ],
    "An async def receiver that blocks the event loop is named in a warning, with how long it blocked.": [
        "integration/test_loop_monitor.py an_async_receiver_that_blocks_the_event_loop_is_named_with_how_long",
    ],
    "A listener never sits in a transaction.": [
        "faults/test_leadership.py a_listener_never_sits_in_a_transaction",
    ],
    "A receiver class deleted while it has pending runs neither spins nor stalls the feed.": [
        "faults/test_leadership.py unfinished_runs_of_a_class_that_is_gone_wait_for_it_and_stall_nothing",
    ],
    "A change, press or row that cannot be read costs its own run; it is named in log, status and doctor, and the feed goes on.": [
        "integration/test_unreadable.py a_row_that_is_too_long_as_json_text_is_delivered_by_its_key_and_the_feed_goes_on",
        "integration/test_unreadable.py rows_that_are_larger_than_a_daemon_can_hold_are_not_read",
        "integration/test_unreadable.py what_was_requested_by_hand_is_taken_up_beside_what_cannot_be_read",
        "integration/test_unreadable.py time_limits_of_the_role_are_not_those_of_the_daemon",
        "integration/test_loading_rows.py a_row_that_cannot_be_loaded_costs_its_own_run_alone",
    ],
    "No policy of a table runs as the daemon's login, and a row that row security hides is not taken for one that is gone.": [
        "integration/test_loading_rows.py the_policies_of_a_table_do_not_run_as_the_daemons_login",
        "integration/test_loading_rows.py a_row_that_a_policy_may_hide_is_not_taken_for_one_that_is_gone",
        "integration/test_loading_rows.py saving_and_refreshing_a_row_that_row_security_hides_names_the_policy",
    ],
    "Receivers may have a login of their own, which may record a run and touch nothing else of rowhooks.": [
        "integration/test_receiver_login.py a_receiver_writes_and_is_recorded_once_under_its_own_login",
        "integration/test_receiver_login.py the_receivers_login_touches_nothing_of_rowhooks_that_a_run_does_not_need",
        "faults/test_process.py killed_in_the_middle_of_a_run_database_effects_happen_once_and_others_at_least_once",
    ],
}

SENTENCES: dict[str, list[str]] = {**HOOKS, **CHANGES, **RUNS, **BUTTONS, **CAPTURE, **FAULTS}
