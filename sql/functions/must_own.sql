-- Purpose: refuse a login that neither owns a table nor is a member of the role that does.
-- Parameters: target  the table
-- Returns: nothing
-- It asks for the login, because inside SECURITY DEFINER functions current_user is the owner of schema rowhooks.
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

-- Purpose: drop the capture function of a table that is no longer tracked.
-- Parameters: target_id  rowhooks.tracked_table.id
-- Returns: nothing
create or replace function rowhooks.drop_capture(target_id integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Cascade: the table's owner may have attached the function to another of its tables.
  execute pg_catalog.format('drop function if exists rowhooks.%I() cascade', 'capture_' || target_id);
  execute pg_catalog.format('drop function if exists rowhooks.%I() cascade', pg_catalog.concat('capture_', target_id, '_statement'));
  perform rowhooks.leave_statement_form(target_id);
end
$$;
