-- Purpose: rowhooks' own triggers on its configuration tables.
create or replace trigger job_enabled_since before insert or update of enabled on rowhooks.job
for each row execute function rowhooks.stamp_enabled_since();

create or replace trigger job_hook_enabled_since before insert or update of enabled on rowhooks.job_hook
for each row execute function rowhooks.stamp_enabled_since();

create or replace trigger job_hook_checked before insert or update on rowhooks.job_hook
for each row execute function rowhooks.check_hook();

-- There is no `create or replace constraint trigger`. What may always be done, like disabling a hook, asks nothing.
drop trigger if exists job_hook_scope on rowhooks.job_hook;
create constraint trigger job_hook_scope
after insert or update of job_id, type_create, type_update, type_delete, columns, ignored_columns, conditions on rowhooks.job_hook
deferrable initially deferred for each row execute function rowhooks.check_hook_scope('id');

drop trigger if exists job_hook_table_scope on rowhooks.job_hook_table;
create constraint trigger job_hook_table_scope after insert or update or delete on rowhooks.job_hook_table
deferrable initially deferred for each row execute function rowhooks.check_hook_scope('job_hook_id');

create or replace trigger job_configuration_changed after insert or update or delete or truncate on rowhooks.job
for each statement execute function rowhooks.configuration_changed();

create or replace trigger job_hook_configuration_changed after insert or update or delete or truncate on rowhooks.job_hook
for each statement execute function rowhooks.configuration_changed();

create or replace trigger job_hook_table_configuration_changed after insert or update or delete or truncate on rowhooks.job_hook_table
for each statement execute function rowhooks.configuration_changed();

create or replace trigger tracked_table_changed before insert or update on rowhooks.tracked_table
for each row execute function rowhooks.tracked_table_changed();

create or replace trigger job_button_checked before insert or update on rowhooks.job_button
for each row execute function rowhooks.check_button();

create or replace trigger job_button_configuration_changed after insert or update or delete or truncate on rowhooks.job_button
for each statement execute function rowhooks.configuration_changed();

create or replace trigger job_button_table_configuration_changed after insert or update or delete or truncate on rowhooks.job_button_table
for each statement execute function rowhooks.configuration_changed();

create or replace trigger job_result_requested after insert on rowhooks.job_result
for each row when (new.leader_epoch is null) execute function rowhooks.run_requested();

-- Bound to the table itself: looking a name up would cost each row of a COPY of the leader's.
create or replace trigger job_result_not_requested_by_receivers after insert on rowhooks.job_result
for each row when (not pg_catalog.has_table_privilege('rowhooks.job_result'::pg_catalog.regclass, 'INSERT'))
execute function rowhooks.check_recorder();

create or replace trigger job_result_not_rewritten_by_receivers after update on rowhooks.job_result
for each row when (not pg_catalog.has_table_privilege('rowhooks.job_result'::pg_catalog.regclass, 'UPDATE'))
execute function rowhooks.check_recorder();

create or replace trigger job_result_forgets_inputs after update on rowhooks.job_result
for each row when (new.inputs is not null and new.inputs <> 'null' and new.finished_at is not null)
execute function rowhooks.forget_inputs();

create or replace trigger job_hook_table_named before insert or update on rowhooks.job_hook_table
for each row execute function rowhooks.name_table();

create or replace trigger job_button_table_named before insert or update on rowhooks.job_button_table
for each row execute function rowhooks.name_table();

create or replace trigger job_hook_columns_named after update of columns, ignored_columns, conditions on rowhooks.job_hook
for each row execute function rowhooks.name_columns();

create or replace trigger job_button_columns_named after update of text on rowhooks.job_button
for each row execute function rowhooks.name_columns();

-- The doors for presses. Triggers fire in the order of their names.
create or replace trigger press_1_find_row instead of insert on rowhooks.press
for each row execute function rowhooks.find_pressed_row();

create or replace trigger press_2_record instead of insert on rowhooks.press
for each row execute function rowhooks.record_press();

-- The doors for acts, likewise.
create or replace trigger act_1_note_actor instead of insert on rowhooks.act
for each row execute function rowhooks.note_actor();

create or replace trigger act_2_perform instead of insert on rowhooks.act
for each row execute function rowhooks.perform_act();
