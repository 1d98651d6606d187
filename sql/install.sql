-- The table of contents of schema rowhooks, which `rowhooks init` reads: the structure comes from the migrations (a test
-- holds the two equal), the functions and privileges from here.

-- Structure: changed only by a migration in alembic/versions, which must end in what stands here.
\ir structure/installation.sql
\ir structure/tracked_table.sql
\ir structure/object_change.sql
\ir structure/job.sql
\ir structure/job_hook.sql
\ir structure/job_button.sql
\ir structure/job_result.sql
\ir structure/feed.sql

-- Functions and views: replaced as a whole by every `init` and `upgrade`.
\ir functions/shell_operand.sql
\ir functions/qualified_name.sql
\ir functions/is_receiver.sql
\ir functions/ring_bell.sql
\ir functions/set_notify.sql
\ir functions/configuration_changed.sql
\ir functions/stamp_enabled_since.sql
\ir functions/table_meant.sql
\ir functions/column_names.sql
\ir functions/note_partitions.sql
\ir functions/check_job_can_start.sql
\ir functions/check_conditions.sql
\ir functions/check_hook.sql
\ir functions/check_hook_scope.sql
\ir functions/check_button.sql
\ir functions/may_press.sql
\ir functions/origins.sql
\ir functions/create_job_hook.sql
\ir functions/create_job_button.sql
\ir functions/present_key.sql
\ir functions/json_form.sql
\ir functions/captured_columns.sql
\ir functions/column_as_json.sql
\ir functions/settings_of_rows.sql
\ir functions/row_by_columns.sql
\ir functions/row_as_json.sql
\ir functions/is_up_to_date.sql
\ir functions/source_of_beginning.sql
\ir functions/source_of_session.sql
\ir functions/source_of_rows.sql
\ir functions/source_of_record.sql
\ir functions/source_of_capture.sql
\ir functions/build_capture.sql
\ir functions/must_own.sql
\ir functions/representing_column.sql
\ir functions/refresh_tables.sql
\ir functions/identity_of.sql
\ir functions/check_left_out.sql
\ir functions/entry_of_table.sql
\ir functions/register_table.sql
\ir functions/matches_glob.sql
\ir functions/track.sql
\ir functions/untrack.sql
\ir functions/log_partition.sql
\ir functions/extend_object_change.sql
\ir functions/begin_history.sql
\ir functions/resume_after_restore.sql
\ir functions/run_requested.sql
\ir functions/retry.sql
\ir functions/revoke.sql
\ir functions/prune_results.sql
\ir functions/prunable_partitions.sql
\ir functions/prune_changes.sql
\ir functions/drop_partition.sql
\ir functions/empty_default_partition.sql
\ir functions/sensitive_inputs.sql
\ir functions/views.sql
\ir functions/my_presses.sql
\ir functions/buttons.sql
\ir functions/epoch_of_press.sql
\ir functions/value_as_recorded.sql
\ir functions/press_view.sql
\ir functions/is_checked_inside.sql
\ir functions/check_press.sql
\ir functions/press_key.sql
\ir functions/find_pressed_row.sql
\ir functions/row_buttons.sql
\ir functions/my_access.sql
\ir functions/table_access.sql
\ir functions/visible_views.sql
\ir functions/matches_pattern.sql
\ir functions/check_value.sql
\ir functions/check_inputs.sql
\ir functions/input_fields.sql
\ir functions/record_press.sql
\ir functions/triggers.sql
\ir functions/press.sql

-- Privileges: set anew by every `init` and `upgrade`.
\ir functions/privileges.sql

-- Event triggers: by a superuser, where one installs.
\ir superuser/fingerprint.sql
\ir superuser/follow_ddl.sql
\ir superuser/event_triggers.sql
