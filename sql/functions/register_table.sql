-- Purpose: refuse a login that neither owns a table nor is a member of the role that does.
-- Parameters: target  the table
-- Returns: nothing
-- It asks for the login, because inside SECURITY DEFINER functions current_user is rowhooks' owner.
create or replace function rowhooks.must_own(target regclass) returns void
language plpgsql
set search_path = ''
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
--             target_keys      its key columns, in the order of the primary key
--             target_repr      the column that stands for a row, or null
--             target_audit     record what hook receivers write
-- Returns: rowhooks.tracked_table.id
-- Writes:  rowhooks.tracked_table
-- Whoever may execute this still needs to own the table.
create or replace function rowhooks.register_table(
  target regclass, target_keys name[], target_repr name, target_audit boolean
) returns integer
language plpgsql security definer
set search_path = ''
as $$
declare
  found_id integer;
begin
  perform rowhooks.must_own(target);
  update rowhooks.tracked_table as t
  set
    schema_name = n.nspname,
    table_name = c.relname,
    key_columns = target_keys,
    repr_column = target_repr,
    audit_receivers = target_audit
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where t.relation = target and t.untracked_at is null and c.oid = target
  returning t.id into found_id;

  if found_id is null then
    insert into rowhooks.tracked_table (relation, schema_name, table_name, key_columns, repr_column, audit_receivers)
    select target, n.nspname, c.relname, target_keys, target_repr, target_audit
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = target
    returning id into found_id;
  end if;
  return found_id;
end
$$;
