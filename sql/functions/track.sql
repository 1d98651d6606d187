-- Purpose: attach rowhooks to a table: from the next transaction on each changed row is recorded.
-- Parameters: target           the table
--             audit_receivers  record what hook receivers write (it starts no hook) instead of skipping it
--             wait             how long to wait for the table's lock (SHARE ROW EXCLUSIVE, held until the end of
--                              this transaction) before giving up
-- Returns: rowhooks.tracked_table.id
-- Writes:  rowhooks.tracked_table, by rowhooks.register_table; the table's triggers
-- Repeatable: a table that is tracked already has its function and triggers made anew.
-- Runs with the caller's rights: he must own the table.
create or replace function rowhooks.track(
  target regclass, audit_receivers boolean default false, wait interval default '3 seconds'
) returns integer
language plpgsql
set search_path = ''
as $$
declare
  relation pg_catalog.pg_class;
  keys pg_catalog.name[];
  repr pg_catalog.name;
  tracked_id integer;
  function_name pg_catalog.text;
  former_timeout constant pg_catalog.text := pg_catalog.current_setting('lock_timeout');
begin
  if target is null then
    raise exception 'rowhooks: no table was named' using errcode = 'invalid_parameter_value';
  end if;
  select c.* into relation from pg_catalog.pg_class as c where c.oid = target;
  if not found then
    raise exception 'rowhooks cannot track %: there is no such table', target
      using errcode = 'undefined_table', hint = 'It was dropped in the meantime, or its oid is wrong.';
  end if;

  if relation.relkind in ('v', 'm') then
    raise exception 'rowhooks cannot track %: it is a view', target
      using errcode = 'wrong_object_type', hint = 'Track the tables that the view reads.';
  elsif relation.relkind not in ('r', 'p') then
    raise exception 'rowhooks cannot track %: it is not an ordinary or partitioned table', target
      using errcode = 'wrong_object_type', hint = 'Name a table.';
  elsif relation.relpersistence = 't' then
    raise exception 'rowhooks cannot track %: it is a temporary table', target
      using errcode = 'wrong_object_type', hint = 'The daemon could not see its rows; use a permanent table.';
  elsif relation.relnamespace in (
    'rowhooks'::pg_catalog.regnamespace,
    'pg_catalog'::pg_catalog.regnamespace,
    'information_schema'::pg_catalog.regnamespace
  ) then
    raise exception 'rowhooks cannot track %: it belongs to rowhooks or to PostgreSQL itself', target
      using errcode = 'wrong_object_type', hint = 'Name a table of your own.';
  elsif relation.relispartition then
    raise exception 'rowhooks cannot track %: it is a partition', target
      using
        errcode = 'wrong_object_type',
        hint = pg_catalog.format(
          'Track the table it belongs to: select rowhooks.track(%L)', pg_catalog.pg_partition_root(target)::pg_catalog.text
        );
  end if;

  select pg_catalog.array_agg(a.attname order by k.position)
  into keys
  from pg_catalog.pg_index as i
  cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
  join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indrelid = target and i.indisprimary and k.position <= i.indnkeyatts;
  if keys is null then
    raise exception 'rowhooks cannot track %: it has no primary key', target
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Add one: alter table %s add primary key (...)', target);
  end if;

  -- What people call a row by; its key, where the table has no such column.
  select a.attname
  into repr
  from pg_catalog.unnest(
    array['display_name', 'display', 'name', 'label', 'title', 'hostname', 'username', 'slug', 'code', 'serial', 'email']
  ) with ordinality as c (name, position)
  join pg_catalog.pg_attribute as a on a.attrelid = target and a.attname = c.name and not a.attisdropped
  order by c.position
  limit 1;

  -- A lock_timeout of 0 would wait for ever.
  perform pg_catalog.set_config('lock_timeout', greatest((pg_catalog.date_part('epoch', wait) * 1000)::bigint, 1)::pg_catalog.text, true);
  begin
    -- CREATE TRIGGER takes this lock; it is taken first, so that nothing is written before it is had.
    execute pg_catalog.format('lock table %s in share row exclusive mode', target);
  exception when lock_not_available then
    raise exception 'rowhooks did not get the lock on % within %', target, wait
      using
        errcode = 'lock_not_available',
        hint = 'A transaction that wrote to it is still open (see pg_stat_activity); try again, or wait longer.';
  end;

  tracked_id := rowhooks.register_table(target, keys, repr, audit_receivers);
  function_name := rowhooks.build_capture(tracked_id);

  -- Triggers fire in the order of their names: "!" puts these before the user's and before cascades, which keeps
  -- the order of the log the order of the changes.
  execute pg_catalog.format(
    'create or replace trigger "!rowhooks_row" after insert or delete on %s '
    'for each row execute function rowhooks.%I()',
    target, function_name
  );
  -- Compared as bytes: that knows every type, also those without an equality (json, point).
  execute pg_catalog.format(
    'create or replace trigger "!rowhooks_update" after update on %s '
    'for each row when (old.* operator(pg_catalog.*<>) new.*) execute function rowhooks.%I()',
    target, function_name
  );
  execute pg_catalog.format(
    'create or replace trigger "!rowhooks_truncate" after truncate on %s '
    'for each statement execute function rowhooks.%I()',
    target, function_name
  );
  perform pg_catalog.set_config('lock_timeout', former_timeout, true);
  return tracked_id;
end
$$;
