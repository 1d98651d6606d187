-- Their columns are others now, which `create or replace view` refuses.
drop view if exists rowhooks.results;
drop view if exists rowhooks.changes;

alter table rowhooks.installation
add column capture_role name not null default 'rowhooks_capture',
add column capture_role_created boolean not null default false,
add column receiver_role name not null default 'rowhooks_receiver',
add column receiver_role_created boolean not null default false;

alter table rowhooks.tracked_table
add column excluded_columns name[] not null default '{}',
add column excluded_numbers smallint[] not null default '{}';

alter table rowhooks.feed
add column leader_key bigint not null default pg_catalog.hashtextextended('rowhooks.leader', 0),
add column unreadable jsonb not null default '[]';

alter table rowhooks.job_hook
add column on_undecided text not null default 'run',
add constraint job_hook_on_undecided_check check (on_undecided in ('run', 'skip'));

alter table rowhooks.job_result add column login name;

drop index rowhooks.job_result_idempotency_key;
create unique index job_result_idempotency_key on rowhooks.job_result (job_button_id, db_user, idempotency_key)
where idempotency_key is not null;

-- They take other arguments now.
drop function if exists rowhooks.row_as_json(regclass, text);
drop function if exists rowhooks.representing_column(regclass);
drop function if exists rowhooks.register_table(regclass, name[], boolean, boolean, boolean);
drop function if exists rowhooks.track(regclass, boolean, interval, text[], boolean);
