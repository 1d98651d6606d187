-- Their columns may be others now, which `create or replace view` refuses.
drop view if exists rowhooks.results;
drop view if exists rowhooks.changes;

-- The login that needs what people grant: doctor asks what it lacks.
alter table rowhooks.feed add column rows_login name, add column rows_by_policy boolean not null default false;
-- Hooks and buttons name their tables, and follow columns by number.
drop view if exists rowhooks.buttons;
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
