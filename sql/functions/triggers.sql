-- Purpose: rowhooks' own triggers on its configuration tables.
create or replace trigger job_enabled_since before insert or update of enabled on rowhooks.job
for each row execute function rowhooks.hook_enabled_since();

create or replace trigger job_hook_enabled_since before insert or update of enabled on rowhooks.job_hook
for each row execute function rowhooks.hook_enabled_since();

create or replace trigger job_configuration_changed after insert or update or delete or truncate on rowhooks.job
for each statement execute function rowhooks.configuration_changed();

create or replace trigger job_hook_configuration_changed after insert or update or delete or truncate on rowhooks.job_hook
for each statement execute function rowhooks.configuration_changed();

create or replace trigger job_hook_table_configuration_changed after insert or update or delete or truncate on rowhooks.job_hook_table
for each statement execute function rowhooks.configuration_changed();

create or replace trigger tracked_table_configuration_changed after insert or update or delete or truncate on rowhooks.tracked_table
for each statement execute function rowhooks.configuration_changed();
