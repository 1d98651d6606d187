-- Purpose: refuse a login that neither owns a table nor is a member of the role that does.
-- Parameters: target  the table
-- Returns: nothing
-- It asks for the login, because inside SECURITY DEFINER functions current_user is rowhooks' owner.
create or replace function rowhooks.must_own(target regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (
    select from pg_catalog.pg_class as c
    where c.oid = target and pg_catalog.pg_has_role(session_user, c.relowner, 'member')
  ) then
    raise exception 'rowhooks: % may not track or untrack %: it belongs to another role', session_user, target
      using errcode = 'insufficient_privilege', hint = 'Connect as the owner of the table.';
  end if;
end
$$;

-- Purpose: refuse to keep a column out of the log that is not there, or without which something would not work.
-- Parameters: target            the table
--             target_id         its rowhooks.tracked_table.id
--             target_keys       the columns that tell its rows apart
--             excluded_columns  the columns that are to be kept out
-- Returns: nothing
-- Reads:   rowhooks.job_hook
create or replace function rowhooks.check_excluded(
  target regclass, target_id integer, target_keys name[], excluded_columns name[]
) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  stray name;
  hook_name text;
begin
  select x.name into stray
  from pg_catalog.unnest(excluded_columns) as x (name)
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = x.name and a.attnum > 0 and not a.attisdropped
  )
  limit 1;
  if found then
    raise exception 'rowhooks cannot keep column % of % out of the log: there is no such column', stray, target
      using errcode = 'undefined_column', hint = 'Name columns as they are stored, without quotes.';
  end if;
  select x.name into stray from pg_catalog.unnest(excluded_columns) as x (name) where x.name = any (target_keys) limit 1;
  if found then
    raise exception 'rowhooks cannot keep column % of % out of the log: it tells the rows apart', stray, target
      using errcode = 'invalid_parameter_value', hint = 'Name other columns that do, or record the table without a key.';
  end if;
  select x.name, h.name into stray, hook_name
  from pg_catalog.unnest(excluded_columns) as x (name)
  cross join lateral rowhooks.column_to_hooks(target_id, x.name) as c
  join rowhooks.job_hook as h on h.id = c.job_hook_id
  where rowhooks.asks_for(h.columns, h.conditions, c.called)
  limit 1;
  if found then
    raise exception 'rowhooks cannot keep column % of % out of the log: hook % asks for it', stray, target, hook_name
      using
        errcode = 'object_in_use',
        hint = 'Give the hook other columns or conditions first, or remove it.';
  end if;
end
$$;

-- Purpose: refuse to ignore updates of a column that is not there, or without which something would not work.
-- Parameters: target           the table
--             target_id        its rowhooks.tracked_table.id
--             target_keys      the columns that tell its rows apart
--             ignored_columns  the columns that do not count
-- Returns: nothing
-- Reads:   rowhooks.job_hook
create or replace function rowhooks.check_ignored(
  target regclass, target_id integer, target_keys name[], ignored_columns name[]
) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  stray name;
  hook_name text;
begin
  select x.name into stray
  from pg_catalog.unnest(ignored_columns) as x (name)
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = x.name and a.attnum > 0 and not a.attisdropped
  )
  limit 1;
  if found then
    raise exception 'rowhooks cannot ignore column % of %: there is no such column', stray, target
      using errcode = 'undefined_column', hint = 'Name columns as they are stored, without quotes.';
  end if;
  select x.name into stray from pg_catalog.unnest(ignored_columns) as x (name) where x.name = any (target_keys) limit 1;
  if found then
    raise exception 'rowhooks cannot ignore column % of %: it tells the rows apart', stray, target
      using errcode = 'invalid_parameter_value', hint = 'Name other columns.';
  end if;
  if ignored_columns <> '{}' and not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attname <> all (ignored_columns)
  ) then
    raise exception 'rowhooks cannot ignore all columns of %: no update of it would be recorded', target
      using errcode = 'invalid_parameter_value', hint = 'Leave out of the list what counts.';
  end if;
  select x.name, h.name into stray, hook_name
  from pg_catalog.unnest(ignored_columns) as x (name)
  cross join lateral rowhooks.column_to_hooks(target_id, x.name) as c
  join rowhooks.job_hook as h on h.id = c.job_hook_id
  where c.called = any (h.columns)
  limit 1;
  if found then
    raise exception 'rowhooks cannot ignore column % of %: hook % waits for it to change', stray, target, hook_name
      using errcode = 'object_in_use', hint = 'Give the hook other columns first, or remove it.';
  end if;
end
$$;

-- Purpose: put a table on the list of tracked tables, or bring its entry up to date.
-- Parameters: target           the table; `rowhooks.track` has checked that it can be tracked
--             target_keys      the columns that tell its rows apart; none: it is recorded without a key
--             target_audit     record what hook receivers write
--             by_hand          the columns were named, and are not those of the primary key
--             target_always    fire under session_replication_role = replica too
--             target_excluded  columns whose values are kept out of the log; null: as it is
--             target_ignored   columns whose updates do not count; null: as it is
-- Returns: rowhooks.tracked_table.id
-- Writes:  rowhooks.tracked_table
-- For rowhooks.register_table, and for a superuser, who asks nobody: he may act in the session of a login that has no
-- right on the table, which somebody's SECURITY DEFINER function has made.
create or replace function rowhooks.enter_table(
  target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean, target_excluded name[],
  target_ignored name[]
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
  former rowhooks.tracked_table;
  gone integer;
begin
  select t.* into entry from rowhooks.tracked_table as t where t.relation = target and t.untracked_at is null;
  entry.key_columns := target_keys;
  select coalesce(pg_catalog.array_agg(a.attnum order by k.position), '{}')
  into entry.key_numbers
  from pg_catalog.unnest(target_keys) with ordinality as k (name, position)
  join pg_catalog.pg_attribute as a on a.attrelid = target and a.attname = k.name;
  select n.nspname, c.relname
  into entry.schema_name, entry.table_name
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.oid = target;
  if entry.id is null then
    -- Tracked again, or made anew: what was kept out of the log, and what did not count, is so still, unless it is said
    -- otherwise.
    select t.* into former
    from rowhooks.tracked_table as t
    where t.relation = target
      or (t.schema_name, t.table_name) = (entry.schema_name, entry.table_name)
      and not exists (select from pg_catalog.pg_class as c where c.oid = t.relation)
    order by t.relation = target desc, t.id desc
    limit 1;
    select
      -- A name that is no column now may become one.
      array(
        select x.name from pg_catalog.unnest(former.excluded_columns) as x (name) where x.name <> all (target_keys)
        union
        select pg_catalog.unnest(pg_catalog.array_agg(a.attname) filter (where k.is_excluded))
        order by 1
      ),
      pg_catalog.array_agg(a.attnum order by a.attnum) filter (where k.is_excluded),
      pg_catalog.array_agg(a.attname order by a.attnum) filter (where k.is_ignored),
      pg_catalog.array_agg(a.attnum order by a.attnum) filter (where k.is_ignored)
    into entry.excluded_columns, entry.excluded_numbers, entry.ignored_columns, entry.ignored_numbers
    from pg_catalog.pg_attribute as a
    cross join lateral (
      select
        a.attname = any (former.excluded_columns) or former.relation = target and a.attnum = any (former.excluded_numbers)
          as is_excluded,
        case
          when former.relation = target then a.attnum = any (former.ignored_numbers)
          else a.attname = any (former.ignored_columns)
        end as is_ignored
    ) as k
    where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attname <> all (target_keys);
  end if;
  if target_excluded is not null then
    entry.excluded_columns := target_excluded;
    select pg_catalog.array_agg(a.attnum)
    into entry.excluded_numbers
    from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = any (target_excluded);
  end if;
  entry.excluded_columns := coalesce(entry.excluded_columns, '{}');
  entry.excluded_numbers := coalesce(entry.excluded_numbers, '{}');
  if target_ignored is not null then
    entry.ignored_columns := target_ignored;
    select pg_catalog.array_agg(a.attnum)
    into entry.ignored_numbers
    from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = any (target_ignored);
  end if;
  entry.ignored_columns := coalesce(entry.ignored_columns, '{}');
  entry.ignored_numbers := coalesce(entry.ignored_numbers, '{}');
  entry.repr_column := rowhooks.representing_column(target, entry.excluded_columns);
  select a.attnum into entry.repr_number
  from pg_catalog.pg_attribute as a
  where a.attrelid = target and a.attname = entry.repr_column;
  entry.identity := case when not by_hand then 'key' when pg_catalog.cardinality(target_keys) > 0 then 'columns' else 'full' end;

  if entry.id is null then
    insert into rowhooks.tracked_table (
      relation, schema_name, table_name, identity, key_columns, key_numbers, repr_column, repr_number, audit_receivers,
      always, excluded_columns, excluded_numbers, ignored_columns, ignored_numbers
    )
    values (
      target, entry.schema_name, entry.table_name, entry.identity, entry.key_columns, entry.key_numbers,
      entry.repr_column, entry.repr_number, target_audit, target_always, entry.excluded_columns, entry.excluded_numbers,
      entry.ignored_columns, entry.ignored_numbers
    )
    returning id into entry.id;
    -- It takes the place of one that was dropped, of which no event trigger has told.
    for gone in
      update rowhooks.tracked_table as t
      set untracked_at = pg_catalog.now()
      where t.untracked_at is null
        and (t.schema_name, t.table_name) = (entry.schema_name, entry.table_name)
        and not exists (select from pg_catalog.pg_class as c where c.oid = t.relation)
      returning t.id
    loop
      -- Cascade: the table's owner may have attached the function to another table of his.
      execute pg_catalog.format('drop function if exists rowhooks.%I() cascade', 'capture_' || gone);
    end loop;
  else
    update rowhooks.tracked_table
    set
      schema_name = entry.schema_name,
      table_name = entry.table_name,
      identity = entry.identity,
      key_columns = entry.key_columns,
      key_numbers = entry.key_numbers,
      repr_column = entry.repr_column,
      repr_number = entry.repr_number,
      -- Those that were detached are known by now.
      partitions = '{}',
      audit_receivers = target_audit,
      always = target_always,
      excluded_columns = entry.excluded_columns,
      excluded_numbers = entry.excluded_numbers,
      ignored_columns = entry.ignored_columns,
      ignored_numbers = entry.ignored_numbers
    where id = entry.id;
  end if;
  -- Hooks of a table that was tracked before are on it again from here on.
  perform rowhooks.check_excluded(target, entry.id, target_keys, target_excluded);
  perform rowhooks.check_ignored(target, entry.id, target_keys, target_ignored);
  perform rowhooks.note_partitions();
  return entry.id;
end
$$;

-- Purpose: the same for whoever owns the table.
-- Whoever may execute this still needs to own it.
create or replace function rowhooks.register_table(
  target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean, target_excluded name[],
  target_ignored name[]
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhooks.must_own(target);
  return rowhooks.enter_table(
    target, target_keys, target_audit, by_hand, target_always, target_excluded, target_ignored
  );
end
$$;
