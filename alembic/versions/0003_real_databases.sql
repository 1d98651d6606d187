-- The login that needs what people grant: doctor asks what it lacks.
alter table rowhooks.feed add column rows_login name, add column rows_by_policy boolean not null default false;
-- Hooks and buttons name their tables, and follow columns by number.
alter table rowhooks.tracked_table
add column repr_number smallint,
add column former_names text[] not null default '{}',
add column former_keys jsonb not null default '{}',
add column partitions oid[] not null default '{}';
update rowhooks.tracked_table as t
set repr_number = a.attnum
from pg_catalog.pg_attribute as a
where a.attrelid = t.relation and a.attname = t.repr_column and not a.attisdropped;

alter table rowhooks.job_hook add column waits_for text[] not null default '{}';

alter table rowhooks.job_hook_table
add column schema_name name,
add column table_name name,
add column numbers jsonb not null default '{}';
alter table rowhooks.job_button_table
add column schema_name name,
add column table_name name,
add column numbers jsonb not null default '{}';
-- What a hook that is broken already would be refused for is none of this.
alter table rowhooks.job_hook_table disable trigger user;
alter table rowhooks.job_button_table disable trigger user;
update rowhooks.job_hook_table as x
set
  schema_name = t.schema_name,
  table_name = t.table_name,
  numbers = coalesce(
    (
      select pg_catalog.jsonb_object_agg(a.attname, a.attnum) from pg_catalog.pg_attribute as a
      where a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
    ),
    '{}'
  )
from rowhooks.tracked_table as t
where t.id = x.tracked_table_id;
update rowhooks.job_button_table as x
set
  schema_name = t.schema_name,
  table_name = t.table_name,
  numbers = coalesce(
    (
      select pg_catalog.jsonb_object_agg(a.attname, a.attnum) from pg_catalog.pg_attribute as a
      where a.attrelid = t.relation and a.attnum > 0 and not a.attisdropped
    ),
    '{}'
  )
from rowhooks.tracked_table as t
where t.id = x.tracked_table_id;
alter table rowhooks.job_hook_table alter column schema_name set not null, alter column table_name set not null;
alter table rowhooks.job_button_table alter column schema_name set not null, alter column table_name set not null;
alter table rowhooks.job_hook_table enable trigger user;
alter table rowhooks.job_button_table enable trigger user;

-- Listings are by time: the ids of changes' runs and of presses come from different blocks.
create index job_result_created_at_idx on rowhooks.job_result (created_at, id);

-- Order where the key of a row changes: a run follows those of the new key and of the former one.
alter table rowhooks.job_result add column former_object_id jsonb;
create table rowhooks.key_change (
  id bigint not null,
  tracked_table integer not null,
  object_id jsonb not null,
  former_object_id jsonb not null,
  created_at timestamptz not null default pg_catalog.clock_timestamp(),
  constraint key_change_pkey primary key (id)
);

-- Missing jobs: what is kept for them, what was not, and which daemon has which receivers.
alter table rowhooks.feed add column waiting_limit integer;

create table rowhooks.daemon (
  backend_pid integer not null,
  name text not null,
  receivers text[] not null,
  announced_at timestamptz not null default pg_catalog.now(),
  constraint daemon_pkey primary key (backend_pid)
);

create table rowhooks.job_hook_missed (
  job_hook_id integer not null,
  changes bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  constraint job_hook_missed_pkey primary key (job_hook_id),
  constraint job_hook_missed_job_hook_id_fkey foreign key (job_hook_id)
    references rowhooks.job_hook (id) on delete cascade
);

-- Keys of runs that no other history of the database has. What is on record keeps the key that it has had.
alter table rowhooks.feed
  add column history uuid not null default pg_catalog.gen_random_uuid(),
  add column database_oid oid,
  add column old_keys_until bigint;
alter table rowhooks.feed alter column old_keys_until set default 0;
-- Where no daemon has led yet, no key has been handed out.
update rowhooks.feed set old_keys_until = 0 where lease is null;
update rowhooks.feed
set database_oid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database());
alter table rowhooks.feed alter column database_oid set not null;
alter table rowhooks.job_result add column key text;

-- Capture: functions that have other results or parameters now.
drop function if exists rowhooks.captured_columns(integer, oid);
drop function if exists rowhooks.settings_of_type(oid);
drop function if exists rowhooks.settings_of_rows(integer, regclass);
drop function if exists rowhooks.register_table(regclass, name[], boolean, boolean, boolean, name[]);
drop function if exists rowhooks.track(regclass, boolean, interval, text[], boolean, text[]);

-- Columns that do not count.
alter table rowhooks.tracked_table
add column ignored_columns name[] not null default '{}',
add column ignored_numbers smallint[] not null default '{}';
alter table rowhooks.job_hook
add column ignored_columns text[] not null default '{}';
