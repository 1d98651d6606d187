-- Purpose: set the privileges anew. The owner has all; the daemon's role has those that are named here; every role may press.
-- Reads:   rowhooks.installation
revoke all on schema rowhooks from public;
revoke all on all tables in schema rowhooks from public;

do $$
declare
  -- The functions of the event triggers belong to the superuser that made them.
  our_function pg_catalog.regprocedure;
begin
  for our_function in
    select p.oid::pg_catalog.regprocedure
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_roles as r on r.oid = p.proowner
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and r.rolname = current_user
  loop
    execute pg_catalog.format('revoke execute on function %s from public', our_function);
  end loop;
end
$$;

do $$
declare
  daemon_role constant pg_catalog.text := (select pg_catalog.format('%I', i.daemon_role) from rowhooks.installation as i);
begin
  execute pg_catalog.format('grant usage on schema rowhooks to %s', daemon_role);
  -- The log and what describes it are read, never written.
  execute pg_catalog.format(
    'grant select on rowhooks.alembic_version, rowhooks.installation, rowhooks.tracked_table, rowhooks.tracking_rule, rowhooks.object_change, rowhooks.configuration, '
    'rowhooks.object_change_id_seq, rowhooks.changes, rowhooks.results, rowhooks.press_batch, rowhooks.batches, rowhooks.table_meant to %s', daemon_role
  );
  execute pg_catalog.format('grant select, insert, update, delete on rowhooks.job, rowhooks.job_hook, rowhooks.job_hook_table to %s', daemon_role);
  execute pg_catalog.format('grant select, insert, update, delete on rowhooks.job_button, rowhooks.job_button_table to %s', daemon_role);
  execute pg_catalog.format('grant select, insert, update on rowhooks.job_result to %s', daemon_role);
  execute pg_catalog.format('grant select, insert on rowhooks.job_log_entry to %s', daemon_role);
  execute pg_catalog.format('grant select, insert, delete on rowhooks.key_change to %s', daemon_role);
  execute pg_catalog.format('grant select, update on rowhooks.feed to %s', daemon_role);
  execute pg_catalog.format('grant select, insert, update, delete on rowhooks.daemon, rowhooks.job_hook_missed to %s', daemon_role);
  execute pg_catalog.format('grant select, insert, update, delete on rowhooks.worker, rowhooks.dispatch to %s', daemon_role);
  execute pg_catalog.format('grant usage on sequence rowhooks.job_result_id_seq to %s', daemon_role);
  execute pg_catalog.format('grant execute on function rowhooks.resume_after_restore(bigint), rowhooks.begin_history() to %s', daemon_role);
  execute pg_catalog.format('grant execute on function rowhooks.extend_object_change(bigint, integer) to %s', daemon_role);
  execute pg_catalog.format(
    'grant execute on function rowhooks.configuration_version(), rowhooks.matches_glob(text, text), rowhooks.log_partitions(), '
    'rowhooks.present_key_columns(integer), rowhooks.source_of_capture(integer), rowhooks.settings_of_capture(integer), '
    'rowhooks.functions_of_capture(integer), rowhooks.source_of_statement(integer), '
    'rowhooks.refresh_tables(), rowhooks.note_partitions(), rowhooks.record_run(json, json), rowhooks.record_run(json, json, uuid) to %s',
    daemon_role
  );
  execute pg_catalog.format(
    'grant execute on function rowhooks.ring_bell(), rowhooks.arm_bell(interval), '
    'rowhooks.prune_results(interval, integer, bigint, boolean, boolean), '
    'rowhooks.prunable_partitions(timestamptz), rowhooks.drop_partition(name, timestamptz), '
    'rowhooks.prune_changes(timestamptz, integer, bigint, boolean), rowhooks.empty_default_partition(bigint) to %s', daemon_role
  );
end
$$;

-- What the capture functions need, which run with this role's rights: to append to the log, and not to say when, by which
-- transaction or by which login a change was made.
do $$
declare
  capture_role constant pg_catalog.text := (select pg_catalog.format('%I', i.capture_role) from rowhooks.installation as i);
begin
  execute pg_catalog.format('grant usage on schema rowhooks to %s', capture_role);
  execute pg_catalog.format('grant insert on rowhooks.captured_change to %s', capture_role);
  execute pg_catalog.format('grant execute on function rowhooks.is_receiver(), rowhooks.is_captured(oid, integer), rowhooks.present_key(integer, jsonb), '
    'rowhooks.row_by_columns(integer, oid, record), rowhooks.json_as_recorded(record), rowhooks.captured_columns(integer, oid), '
    'rowhooks.captured_as_json(text, text, name, text, text), rowhooks.column_as_json(text, name, text), rowhooks.always_quoted(name), '
    'rowhooks.largest_row() to %s', capture_role);
end
$$;

-- What a run needs that is put on record by a login of the receivers' own.
do $$
declare
  receiver_role constant pg_catalog.text := (select pg_catalog.format('%I', i.receiver_role) from rowhooks.installation as i);
begin
  execute pg_catalog.format('grant usage on schema rowhooks to %s', receiver_role);
  -- The fence against a leader that is none any more: it is locked FOR SHARE, for which one column that may be updated is
  -- enough; this one can hold nothing but true.
  execute pg_catalog.format('grant select (leader_epoch), update (singleton) on rowhooks.feed to %s', receiver_role);
  -- What the statements that record a run read, write and name, and no more: what came of a run is not for its eyes.
  execute pg_catalog.format(
    'grant select (id, trigger, original_id, object_change_id, job_hook_id, leader_epoch, status, attempt, retries, retry_at, '
    'started_at, finished_at), '
    'insert (id, trigger, original_id, object_change_id, job_hook_id, job_button_id, job_id, class_path, hook_name, '
    'button_name, tracked_table, object_id, former_object_id, object_repr, action, user_name, db_user, status, attempt, retries, retry_at, '
    'leader_epoch, started_at, finished_at, result, exception_type, exception_message, traceback, key), '
    'update (status, attempt, retries, retry_at, started_at, finished_at, result, exception_type, exception_message, '
    'traceback) on rowhooks.job_result to %s', receiver_role
  );
  execute pg_catalog.format(
    'grant insert (job_result_id, time, level, grouping, message, object_type, object_repr) on rowhooks.job_log_entry '
    'to %s', receiver_role
  );
  execute pg_catalog.format('grant execute on function rowhooks.record_run(json, json), rowhooks.record_run(json, json, uuid) to %s', receiver_role);
  -- The fence of what a worker executes, likewise.
  execute pg_catalog.format('grant select (id), update (fence) on rowhooks.dispatch to %s', receiver_role);
end
$$;

-- What a person needs who looks on: what is configured, and what happened as far as it may see the rows. The daemon's role has
-- it too, for commands that ask the same of everybody.
do $$
declare
  daemon_role constant pg_catalog.text := (select pg_catalog.format('%I', i.daemon_role) from rowhooks.installation as i);
  viewer_role constant pg_catalog.text := (select pg_catalog.format('%I', i.viewer_role) from rowhooks.installation as i);
begin
  -- Every role may use the schema. By a grant of its own, a role is known to be used in this database: it is not dropped where
  -- rowhooks is removed from another one.
  execute (
    select pg_catalog.format('grant usage on schema rowhooks to %I, %I, %I, %I', i.viewer_role, i.operator_role, i.admin_role, i.console_role)
    from rowhooks.installation as i
  );
  execute pg_catalog.format(
    'grant select on rowhooks.alembic_version, rowhooks.installation, rowhooks.tracked_table, rowhooks.tracking_rule, '
    'rowhooks.configuration, rowhooks.job, rowhooks.job_hook, rowhooks.job_hook_table, rowhooks.job_hook_missed, '
    'rowhooks.job_button, rowhooks.job_button_table, rowhooks.table_meant, rowhooks.daemon, rowhooks.worker to %s', viewer_role
  );
  -- Not the key of the leader's lock, which a stranger could take, nor the errors of rows that could not be read.
  execute pg_catalog.format(
    'grant select (singleton, snapshot, target, after_id, floor_id, newest_id, system_identifier, leader_epoch, leader, '
    'leader_since, moved_at, rows_login, rows_by_policy, waiting_limit, queues, default_queue, own_queues, history, database_oid) on rowhooks.feed to %s',
    viewer_role
  );
  execute pg_catalog.format(
    'grant select on rowhooks.visible_changes, rowhooks.visible_changes_oldest_first, rowhooks.visible_changes_by_row, '
    'rowhooks.visible_results, rowhooks.visible_results_oldest_first, rowhooks.visible_log, rowhooks.visible_batches '
    'to %s, %s', daemon_role, viewer_role
  );
  -- Where the log ends: what is looked for from its end backwards is looked for in parts.
  execute pg_catalog.format('grant select on rowhooks.object_change_id_seq to %s', viewer_role);
  -- The functions in a view run with the rights of its reader.
  execute pg_catalog.format(
    'grant execute on function rowhooks.readable_columns(oid, jsonb), rowhooks.renamed_keys(oid, jsonb), '
    'rowhooks.queries_to_see(regclass), rowhooks.answer(text[], jsonb), rowhooks.sees_row(text[], jsonb, jsonb), '
    'rowhooks.readable_part(jsonb, text[]), rowhooks.readable_repr(text, jsonb, name[], jsonb, boolean) '
    'to %s, %s', daemon_role, viewer_role
  );
  -- What reads the configuration as the daemon does, to try a hook against past changes and to replay it.
  execute pg_catalog.format(
    'grant execute on function rowhooks.configuration_version(), rowhooks.present_key_columns(integer) to %s', viewer_role
  );
  -- What shows by which triggers tables are captured.
  execute pg_catalog.format(
    'grant execute on function rowhooks.form_in_force(rowhooks.tracked_table), '
    'rowhooks.why_not_by_statement(rowhooks.tracked_table), rowhooks.code_among_after_triggers(), '
    'rowhooks.tables_written_by_actions() to %s, %s',
    daemon_role, viewer_role
  );
  -- Numbers, which tell nothing of a row.
  execute pg_catalog.format(
    'grant execute on function rowhooks.first_change_since(timestamptz), rowhooks.numbers_of_status(integer), '
    'rowhooks.numbers_of_dispatch(), '
    'rowhooks.activity(timestamptz, interval, integer), rowhooks.run_counts(timestamptz, integer, text), '
    'rowhooks.unfinished_runs(integer, integer, integer), rowhooks.replayed_changes(integer, bigint[], timestamptz) '
    'to %s, %s', daemon_role, viewer_role
  );
end
$$;

-- Who did what is for admins. Whose token it is shown, the console asks.
do $$
begin
  execute (
    select pg_catalog.format('grant select on rowhooks.audit to %I, %I', i.admin_role, i.daemon_role) from rowhooks.installation as i
  );
  execute (
    select pg_catalog.format('grant execute on function rowhooks.role_of_token(bytea) to %I', i.console_role)
    from rowhooks.installation as i
  );
end
$$;

-- Every role may insert into rowhooks.act, and call the functions that do: the view's triggers ask what the role in force may do.
grant select, insert on rowhooks.act to public;
grant execute on function
rowhooks.retry(bigint), rowhooks.revoke(bigint), rowhooks.replay(text, bigint[]),
rowhooks.forget_missed(text, timestamptz, timestamptz), rowhooks.enable_job(text), rowhooks.disable_job(text),
rowhooks.enable_hook(text), rowhooks.disable_hook(text), rowhooks.enable_button(text), rowhooks.disable_button(text),
rowhooks.remove_job(text), rowhooks.move_job(text, text), rowhooks.prune_audit(interval),
rowhooks.create_job_hook(text, text, regclass[], text[], text[], text[], jsonb, text, text, boolean, boolean, boolean),
rowhooks.create_job_button(text, text, regclass[], text, text, integer, text, boolean, text[], text, boolean, boolean, boolean),
rowhooks.alter_job_hook(text, jsonb), rowhooks.alter_job_button(text, jsonb), rowhooks.drop_job_hook(text),
rowhooks.drop_job_button(text), rowhooks.create_token(text, bytea, text[], timestamptz, name), rowhooks.revoke_token(integer)
to public;
grant select on rowhooks.tokens to public;

-- Every role may insert into rowhooks.press, see the buttons of the tables that it may read, and what has become of its own
-- presses. That is safe: a button may be
-- pressed by members of the roles that it names, and names none at first; the row is looked up with the presser's rights; and
-- the functions that do it read the catalogue and the cluster's roles alone, with the caller's rights.
grant usage on schema rowhooks to public;
-- Everybody may know which release of the schema it is: a console of another release says so at the log-in.
grant select on rowhooks.alembic_version, rowhooks.buttons, rowhooks.my_presses, rowhooks.my_access to public;
grant select, insert on rowhooks.press to public;
grant execute on function
rowhooks.shell_operand(text), rowhooks.qualified_name(name, name), rowhooks.press(text, regclass, jsonb, text, jsonb),
rowhooks.press(text, regclass, text, text, jsonb), rowhooks.press_many(text, regclass, text[], text, jsonb),
rowhooks.may_press(name, text[], name), rowhooks.access_level(name, rowhooks.installation), rowhooks.check_press(rowhooks.press),
rowhooks.check_pressed_table(regclass), rowhooks.compared_type(oid), rowhooks.equality_of(oid),
rowhooks.key_to_find(regclass), rowhooks.repr_to_find(regclass),
rowhooks.key_of_press(jsonb, regclass, text[], text), rowhooks.keys_of_press(rowhooks.press, regclass, text[], text),
rowhooks.query_to_find(text, text, text, text, text),
rowhooks.press_with_rows(rowhooks.press, regclass, text[], jsonb, jsonb), rowhooks.find_rows(rowhooks.press),
rowhooks.row_buttons(regclass, text), rowhooks.run_state(bigint), rowhooks.input_fields(jsonb),
rowhooks.schema_of_ref(text, jsonb),
rowhooks.json_form(oid), rowhooks.has_lossy_cast(oid), rowhooks.base_type(oid), rowhooks.is_checked_inside(oid),
rowhooks.recorded_item(text, name, text), rowhooks.value_as_recorded(anyelement, text), rowhooks.always_quoted(name)
to public;
