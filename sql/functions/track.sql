-- Purpose: refuse a relation that cannot be tracked.
-- Parameters: target  the table
-- Returns: nothing
create or replace function rowhooks.check_trackable(target regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation pg_catalog.pg_class;
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
  elsif relation.relkind not in ('r', 'p', 'f') then
    raise exception 'rowhooks cannot track %: it is not a table', target
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
end
$$;

-- Purpose: make the triggers of a tracked table.
-- Parameters: target      the table
--             tracked_id  rowhooks.tracked_table.id
-- Returns: nothing
-- It runs with the caller's rights. The caller must own the table.
create or replace function rowhooks.make_triggers(target regclass, tracked_id integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Triggers fire in the order of their names: "!" puts these before the user's and before cascades, which keeps
  -- the order of the log the order of the changes. The number lets a tracked table be attached to a tracked partitioned
  -- one, whose triggers PostgreSQL copies to it.
  execute pg_catalog.format(
    'create or replace trigger %I after insert or delete on %s for each row execute function rowhooks.%I()',
    '!rowhooks_row_' || tracked_id, target, 'capture_' || tracked_id
  );
  -- The rows are compared as bytes, which works for every type, also for those without an equality (json, point). Where a
  -- virtual column may be added without an event trigger that reports it, the function compares.
  execute pg_catalog.format(
    'create or replace trigger %I after update on %s for each row %s execute function rowhooks.%I()',
    '!rowhooks_update_' || tracked_id,
    target,
    case
      when not rowhooks.is_compared_inside(tracked_id, target) and (
        pg_catalog.current_setting('server_version_num')::integer < 180000
        or exists (select from pg_catalog.pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl' and e.evtenabled <> 'D')
      )
        then 'when (old.* operator(pg_catalog.*<>) new.*)'
    end,
    'capture_' || tracked_id
  );
  -- PostgreSQL has TRUNCATE triggers on foreign tables since version 16.
  if not exists (select from pg_catalog.pg_class as c where c.oid = target and c.relkind = 'f')
    or pg_catalog.current_setting('server_version_num')::integer >= 160000 then
    execute pg_catalog.format(
      'create or replace trigger %I after truncate on %s for each statement execute function rowhooks.%I()',
      '!rowhooks_truncate_' || tracked_id, target, 'capture_' || tracked_id
    );
  end if;
end
$$;

-- Purpose: make the triggers of a tracked table in the statement form. Row triggers capture what statement triggers could
--          put in another order: deletes and changed keys. They capture everything once the table's mark has gone.
-- Parameters: target      the table, with the triggers that rowhooks.make_triggers makes
--             tracked_id  rowhooks.tracked_table.id
-- Returns: nothing
-- Reads:   rowhooks.tracked_table
-- It runs with the caller's rights. The caller must own the table.
create or replace function rowhooks.make_statement_triggers(target regclass, tracked_id integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  has_gone constant pg_catalog.text := rowhooks.has_mark_gone(tracked_id);
  trigger record;
begin
  for trigger in
    select *
    from (
      values
      ('row', 'delete', '', 'row', ''),
      ('create', 'insert', '', 'row', pg_catalog.format('when (%s)', has_gone)),
      (
        'update', 'update', '', 'row',
        pg_catalog.format(
          -- Whole rows are compared last, because that takes longest.
          'when ((%s or %s) and old.* operator(pg_catalog.*<>) new.*)', has_gone, rowhooks.is_key_changed_in(tracked_id)
        )
      ),
      ('inserted', 'insert', 'referencing new table as "!new rows"', 'statement', ''),
      ('updated', 'update', 'referencing old table as "!old rows" new table as "!new rows"', 'statement', '')
    ) as w (kind, event, transition_tables, level, condition)
  loop
    execute pg_catalog.format(
      'create or replace trigger %I after %s on %s %s for each %s %s execute function rowhooks.%I()',
      pg_catalog.concat('!rowhooks_', trigger.kind, '_', tracked_id), trigger.event, target, trigger.transition_tables,
      trigger.level, trigger.condition,
      pg_catalog.concat('capture_', tracked_id, case when trigger.level = 'statement' then '_statement' end)
    );
  end loop;
end
$$;

-- Purpose: drop the triggers that a tracked table has in the statement form alone.
-- Parameters: target      the table
--             tracked_id  rowhooks.tracked_table.id
-- Returns: nothing
-- It runs with the caller's rights. The caller must own the table.
create or replace function rowhooks.drop_statement_triggers(target regclass, tracked_id integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  trigger_name pg_catalog.name;
begin
  for trigger_name in
    select g.tgname from pg_catalog.pg_trigger as g
    where g.tgrelid = target
      and g.tgname in (
        '!rowhooks_create_' || tracked_id, '!rowhooks_inserted_' || tracked_id, '!rowhooks_updated_' || tracked_id
      )
  loop
    execute pg_catalog.format('drop trigger %I on %s', trigger_name, target);
  end loop;
end
$$;

-- Purpose: let the triggers of a tracked table and of its partitions fire always, or only where the session is no replica.
-- Parameters: target      the table
--             tracked_id  rowhooks.tracked_table.id
--             always      fire under session_replication_role = replica too
-- Returns: nothing
-- It runs with the caller's rights. The caller must own the table.
create or replace function rowhooks.enable_triggers(target regclass, tracked_id integer, always boolean) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  carrier pg_catalog.regclass;
  trigger_name pg_catalog.text;
begin
  -- Each partition by itself: not every release of PostgreSQL passes it on to them. Only where something has to change: it
  -- makes every session forget its plans.
  for carrier, trigger_name in
    select t.tgrelid::pg_catalog.regclass, t.tgname
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname = 'capture_' || tracked_id
      and t.tgenabled <> case when always then 'A' else 'O' end
      and (t.tgrelid = target or t.tgrelid in (select m.relid from pg_catalog.pg_partition_tree(target) as m))
  loop
    execute pg_catalog.format(
      'alter table %s enable %s trigger %I', carrier, case when always then 'always' else '' end, trigger_name
    );
  end loop;
end
$$;

-- Purpose: take the lock on a table that making its triggers needs, and wait no longer for other locks either.
-- Parameters: target  the table
--             wait    how long to wait for each lock; lock_timeout has it from now on
-- Returns: nothing
-- Raises:  the lock was not available in that time
create or replace function rowhooks.lock_to_track(target regclass, wait interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- A lock_timeout of 0 would wait without end.
  perform pg_catalog.set_config('lock_timeout', greatest((pg_catalog.date_part('epoch', wait) * 1000)::bigint, 1)::pg_catalog.text, true);
  begin
    -- CREATE TRIGGER takes this lock. It is taken first, so that nothing is written before. LOCK refuses foreign tables.
    if not exists (select from pg_catalog.pg_class as c where c.oid = target and c.relkind = 'f') then
      execute pg_catalog.format('lock table %s in share row exclusive mode', target);
    end if;
  exception when lock_not_available then
    raise exception 'rowhooks did not get the lock on % within %', target, wait
      using
        errcode = 'lock_not_available',
        hint = 'A transaction that wrote to it is still open (see pg_stat_activity); try again, or wait longer.';
  end;
end
$$;

-- Purpose: attach rowhooks to a table: from the next transaction on each changed row is recorded.
-- Parameters: target           the table
--             audit_receivers  record what hook receivers write (it starts no hook) instead of skipping it
--             wait             how long to wait for the table's lock (SHARE ROW EXCLUSIVE, held until the end of
--                              this transaction) before giving up
--             identity         what tells the rows apart: null for the primary key; columns with a unique index, which
--                              a foreign table need not have; or '{}' for nothing: the changes are recorded without
--                              a key
--             always           fire under session_replication_role = replica too
--             exclude          columns whose values are kept out of the log; '{}' for none, null: as it is
--             ignore           columns that do not count: an update that changes nothing else is not recorded; '{}' for
--                              none, null: as it is
--             capture          row: row triggers; statement: statement triggers, or an error where they are not safe;
--                              auto: statement triggers where they are safe
-- Returns: rowhooks.tracked_table.id
-- Writes:  rowhooks.tracked_table, by rowhooks.enter_table and rowhooks.choose_form; the table's triggers
-- It can be repeated: the function and the triggers of a tracked table are made anew.
-- It runs with the caller's rights. The caller must own the table.
create or replace function rowhooks.track(
  target regclass,
  audit_receivers boolean default false,
  wait interval default '3 seconds',
  identity text[] default null,
  always boolean default false,
  exclude text[] default null,
  ignore text[] default null,
  capture text default 'row'
) returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  keys pg_catalog.name[];
  tracked_id integer;
  function_name pg_catalog.text;
  by_statement boolean;
  is_superuser constant pg_catalog.bool := (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user);
  former_timeout constant pg_catalog.text := pg_catalog.current_setting('lock_timeout');
begin
  perform rowhooks.check_trackable(target);
  keys := rowhooks.identity_of(target, identity);

  perform rowhooks.lock_to_track(target, wait);
  -- A superuser needs no permission, and so waits for no lock on rowhooks.installation: the event trigger tracks tables in
  -- long transactions, and in sessions of logins that do not own them.
  if is_superuser then
    tracked_id := rowhooks.enter_table(target, keys, audit_receivers, identity is not null, always, exclude, ignore, capture);
  else
    tracked_id := rowhooks.register_table(target, keys, audit_receivers, identity is not null, always, exclude, ignore, capture);
  end if;
  by_statement := rowhooks.choose_form(tracked_id);
  perform rowhooks.build_capture(tracked_id);
  if is_superuser then
    for function_name in select rowhooks.functions_to_hand_over(tracked_id) loop
      execute pg_catalog.format(
        'alter function rowhooks.%I() owner to %I', function_name, (select i.capture_role from rowhooks.installation as i)
      );
    end loop;
  else
    perform rowhooks.hand_over(tracked_id);
  end if;

  perform rowhooks.make_triggers(target, tracked_id);
  if by_statement then
    perform rowhooks.make_statement_triggers(target, tracked_id);
  else
    perform rowhooks.drop_statement_triggers(target, tracked_id);
  end if;
  -- It does nothing where the update trigger is as it was before.
  perform rowhooks.build_capture(tracked_id);
  perform rowhooks.enable_triggers(target, tracked_id, always);
  perform pg_catalog.set_config('lock_timeout', former_timeout, true);
  return tracked_id;
end
$$;
