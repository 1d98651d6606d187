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

-- Purpose: put a table on the list of tracked tables, or bring its entry up to date.
-- Parameters: target           the table; `rowhooks.track` has checked that it can be tracked
--             target_keys      the columns that tell its rows apart; none: it is recorded without a key
--             target_audit     record what hook receivers write
--             by_hand          the columns were named, and are not those of the primary key
--             target_always    fire under session_replication_role = replica too
-- Returns: rowhooks.tracked_table.id
-- Writes:  rowhooks.tracked_table
-- Whoever may execute this still needs to own the table.
create or replace function rowhooks.register_table(
  target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean
) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  entry rowhooks.tracked_table;
begin
  perform rowhooks.must_own(target);
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
  entry.identity := case when not by_hand then 'key' when pg_catalog.cardinality(target_keys) > 0 then 'columns' else 'full' end;

  if entry.id is null then
    insert into rowhooks.tracked_table (
      relation, schema_name, table_name, identity, key_columns, key_numbers, repr_column, audit_receivers, always
    )
    values (
      target, entry.schema_name, entry.table_name, entry.identity, entry.key_columns, entry.key_numbers,
      rowhooks.representing_column(target), target_audit, target_always
    )
    returning id into entry.id;
  else
    update rowhooks.tracked_table
    set
      schema_name = entry.schema_name,
      table_name = entry.table_name,
      identity = entry.identity,
      key_columns = entry.key_columns,
      key_numbers = entry.key_numbers,
      repr_column = rowhooks.representing_column(target),
      audit_receivers = target_audit,
      always = target_always
    where id = entry.id;
  end if;
  return entry.id;
end
$$;
