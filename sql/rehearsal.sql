-- What a rehearsal (rowhooks.testing) makes inside its one transaction, which is never committed: a log and its triggers, as
-- rowhooks.track makes them, but in the session's temporary schema, so that rowhooks need not be installed. This file is not
-- part of install.sql.

-- Named and typed like rowhooks.object_change, so that one piece of code reads both.
create table pg_temp.rowhooks_change (
  id bigint generated always as identity,
  transaction_id xid8 not null default pg_current_xact_id(),
  time timestamptz not null default clock_timestamp(),
  action text not null,
  -- Its oid: there is no rowhooks.tracked_table.
  tracked_table bigint not null,
  object_id jsonb,
  object_repr text,
  prechange jsonb,
  postchange jsonb,
  db_user name not null default session_user,
  user_name text default nullif(current_setting('rowhooks.user', true), ''),
  request_id text default nullif(current_setting('rowhooks.request_id', true), ''),
  change_context text default nullif(current_setting('rowhooks.context', true), ''),
  capture_error text
);

-- Purpose: make every commit of the transaction fail. A holdable cursor, which a commit materialises, calls it.
-- Returns: nothing, it raises
create function pg_temp.rowhooks_refuse_commit() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'a rehearsal of rowhooks is never committed'
    using
      errcode = 'invalid_transaction_termination',
      hint = 'The run commits, not the receiver: leave COMMIT out, or use self.session.flush().';
end
$$;

-- The tables whose rows a test tells apart by other columns than their primary key; by none, where there are no columns.
create table pg_temp.rowhooks_identity (
  relation oid primary key,
  columns text[] not null
);

-- Purpose: find the columns that tell a table's rows apart: those of its primary key, in its order, or others that a test has
--          named. SECURITY DEFINER, because a receiver may have set another role.
-- Parameters: target  the table
-- Returns: their names, null where there are none
create function pg_temp.rowhooks_key(target oid) returns text[]
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select nullif(
    coalesce(
      (select y.columns from pg_temp.rowhooks_identity as y where y.relation = target),
      (
        select pg_catalog.array_agg(a.attname::pg_catalog.text order by k.position)
        from pg_catalog.pg_index as i
        cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where i.indrelid = target and i.indisprimary and k.position <= i.indnkeyatts
      )
    ),
    '{}'
  )
$$;

-- Purpose: find the column that stands for a row, as rowhooks.track does.
-- Parameters: target  the table
-- Returns: its name, null where the key stands for the row
create function pg_temp.rowhooks_repr(target oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select a.attname::pg_catalog.text
  from pg_catalog.unnest(
    array['display_name', 'display', 'name', 'label', 'title', 'hostname', 'username', 'slug', 'code', 'serial', 'email']
  ) with ordinality as c (name, position)
  join pg_catalog.pg_attribute as a on a.attrelid = target and a.attname = c.name and not a.attisdropped
  order by c.position
  limit 1
$$;

-- Purpose: name a row as the log does.
-- Parameters: target    the table
--             row_data  the row
-- Returns: key columns to values; null where there is no primary key, or no row
create function pg_temp.rowhooks_object_id(target oid, row_data jsonb) returns jsonb
language sql stable strict
set search_path = pg_catalog, pg_temp
as $$
  select pg_catalog.jsonb_object_agg(k.name, row_data -> k.name) from pg_catalog.unnest(pg_temp.rowhooks_key(target)) as k (name)
$$;

-- Purpose: write the representation of a row, as the log does.
-- Parameters: target    the table
--             row_data  the row
-- Returns: the value of the column that stands for it, else those of its key, else the row itself; null for no row
create function pg_temp.rowhooks_object_repr(target oid, row_data jsonb) returns text
language sql stable strict
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    row_data ->> pg_temp.rowhooks_repr(target),
    (
      select pg_catalog.concat_ws(', ', variadic pg_catalog.array_agg(row_data ->> k.name order by k.position))
      from pg_catalog.unnest(pg_temp.rowhooks_key(target)) with ordinality as k (name, position)
      having pg_catalog.count(*) > 0
    ),
    pg_catalog.left(row_data::pg_catalog.text, 200)
  )
$$;

-- Purpose: write a row change into the log. SECURITY DEFINER, because a receiver may have set another role.
-- Parameters: tg_argv  the table's oid (of a partition its root's)
-- Returns: nothing that counts (AFTER trigger function)
create function pg_temp.rowhooks_capture() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target constant pg_catalog.oid := tg_argv[0]::pg_catalog.oid;
  operation pg_catalog.text := 'truncate';
  before_data pg_catalog.jsonb;
  after_data pg_catalog.jsonb;
  row_data pg_catalog.jsonb;
begin
  if tg_op = 'INSERT' then
    operation := 'create';
    after_data := pg_catalog.to_jsonb(new);
  elsif tg_op = 'DELETE' then
    operation := 'delete';
    before_data := pg_catalog.to_jsonb(old);
  elsif tg_op = 'UPDATE' then
    -- What rowhooks.track leaves to the trigger's WHEN.
    if old operator(pg_catalog.*=) new then
      return null;
    end if;
    operation := 'update';
    before_data := pg_catalog.to_jsonb(old);
    after_data := pg_catalog.to_jsonb(new);
  end if;
  row_data := coalesce(after_data, before_data);
  insert into pg_temp.rowhooks_change (action, tracked_table, object_id, object_repr, prechange, postchange)
  values (
    operation, target::bigint, pg_temp.rowhooks_object_id(target, row_data),
    pg_temp.rowhooks_object_repr(target, row_data), before_data, after_data
  );
  return null;
end
$$;

-- Purpose: list the tables whose changes can be logged and are not logged yet.
-- Parameters: wanted  the tables; null for all of the user's
-- Returns: oid and name of each, whether it is foreign, and whether this role may make triggers on it
create function pg_temp.rowhooks_watchable(wanted oid[])
returns table (oid oid, name regclass, is_foreign boolean, permitted boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    c.oid,
    c.oid::pg_catalog.regclass as name,
    c.relkind = 'f' as is_foreign,
    pg_catalog.has_table_privilege(c.oid, 'TRIGGER') and pg_catalog.has_schema_privilege(n.oid, 'USAGE') as permitted
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f')
    and not c.relispartition
    and c.relpersistence <> 't'
    and n.nspname not in ('information_schema', 'rowhooks')
    and n.nspname !~ '^pg_'
    -- An extension's tables are left out, unless they are named.
    and case
      when wanted is not null then c.oid = any (wanted)
      else not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'
      )
    end
    and not exists (
      select from pg_catalog.pg_trigger as t where t.tgrelid = c.oid and t.tgname = '!rowhooks_rehearsal'
    )
$$;

-- Purpose: log the changes of tables until the transaction ends. Takes their SHARE ROW EXCLUSIVE locks.
-- Parameters: wanted    the tables; null for all of the user's on which this role may make triggers
--             patience  how long to wait for a lock
-- Returns: nothing
-- It can be repeated: tables that are logged already stay so.
create function pg_temp.rowhooks_watch(wanted oid[], patience interval) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  target pg_catalog.record;
  former_timeout constant pg_catalog.text := pg_catalog.current_setting('lock_timeout');
begin
  perform pg_catalog.set_config('lock_timeout', greatest((pg_catalog.date_part('epoch', patience) * 1000)::bigint, 1)::pg_catalog.text, true);
  -- Always in the same order, so that two rehearsals wait for each other and do not deadlock.
  for target in
    select t.oid, t.name, t.is_foreign, t.permitted from pg_temp.rowhooks_watchable(wanted) as t order by t.oid
  loop
    if not target.permitted then
      continue when wanted is null;
      raise exception 'role % may not make triggers on %', current_user, target.name
        using errcode = 'insufficient_privilege', hint = 'Connect as the owner of the table.';
    end if;
    begin
      -- A foreign table cannot be locked by itself; CREATE TRIGGER locks it.
      if not target.is_foreign then
        execute pg_catalog.format('lock table %s in share row exclusive mode', target.name);
      end if;
    exception when lock_not_available then
      raise exception 'the lock on % was not available within %', target.name, patience
        using
          errcode = 'lock_not_available',
          hint = 'Another session writes to it: give tests a database of their own, or name the tables to watch.';
    end;
    -- "!" sorts before the user's triggers and before cascades, as in rowhooks.track.
    execute pg_catalog.format(
      'create trigger "!rowhooks_rehearsal" after insert or update or delete on %s '
      'for each row execute function pg_temp.rowhooks_capture(%L)',
      target.name, target.oid
    );
    -- PostgreSQL 14 and 15 have no such trigger on foreign tables.
    if not target.is_foreign or pg_catalog.current_setting('server_version_num')::integer >= 160000 then
      execute pg_catalog.format(
        'create trigger "!rowhooks_rehearsal_truncate" after truncate on %s '
        'for each statement execute function pg_temp.rowhooks_capture(%L)',
        target.name, target.oid
      );
    end if;
  end loop;
  perform pg_catalog.set_config('lock_timeout', former_timeout, true);
end
$$;
