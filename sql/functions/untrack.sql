-- Purpose: detach rowhooks from a table. Its history stays; hooks on it start nothing more.
-- Parameters: target  the table
--             wait    how long to wait for the table's lock before giving up
-- Returns: true when the table was tracked
-- Writes:  rowhooks.tracked_table, by rowhooks.remove_table; the table's triggers
-- It runs with the caller's rights. The caller must own the table.
create or replace function rowhooks.untrack(target regclass, wait interval default '3 seconds') returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  trigger_name pg_catalog.name;
  former_timeout constant pg_catalog.text := pg_catalog.current_setting('lock_timeout');
begin
  -- A lock_timeout of 0 would wait without end.
  perform pg_catalog.set_config('lock_timeout', greatest((pg_catalog.date_part('epoch', wait) * 1000)::bigint, 1)::pg_catalog.text, true);
  for trigger_name in
    select t.tgname
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where t.tgrelid = target and t.tgparentid = 0 and p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      -- rowhooks' own tables carry triggers too.
      and p.proname ~ '^capture_[0-9]+(_statement)?$'
  loop
    begin
      execute pg_catalog.format('drop trigger %I on %s', trigger_name, target);
    exception when lock_not_available then
      raise exception 'rowhooks did not get the lock on % within %', target, wait
        using
          errcode = 'lock_not_available',
          hint = 'A transaction that uses it is still open (see pg_stat_activity); try again, or wait longer.';
    end;
  end loop;
  perform pg_catalog.set_config('lock_timeout', former_timeout, true);
  if (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user) then
    return rowhooks.remove_table(target);
  end if;
  return rowhooks.forget_table(target);
end
$$;

-- Purpose: mark a table's entry as untracked and drop its capture function.
-- Parameters: target  the table, already without triggers
-- Returns: true when it was on the list
-- Writes:  rowhooks.tracked_table
-- rowhooks.forget_table calls it, and a superuser, as rowhooks.enter_table.
create or replace function rowhooks.remove_table(target regclass) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  forgotten_id integer;
begin
  if exists (
    select from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on t.tgfoid = p.oid
    join rowhooks.tracked_table as k on k.relation = target and k.untracked_at is null
    where t.tgrelid = target
      and p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname in ('capture_' || k.id, pg_catalog.concat('capture_', k.id, '_statement'))
  ) then
    raise exception 'rowhooks cannot forget %: it still carries the triggers', target
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Run: select rowhooks.untrack(%L)', target::pg_catalog.text);
  end if;
  update rowhooks.tracked_table as t
  set untracked_at = pg_catalog.now()
  where t.relation = target and t.untracked_at is null
  returning t.id into forgotten_id;
  if forgotten_id is null then
    return false;
  end if;
  perform rowhooks.drop_capture(forgotten_id);
  return true;
end
$$;

-- Purpose: the same for the owner of the table.
-- A role that may execute this still needs to own the table.
create or replace function rowhooks.forget_table(target regclass) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhooks.must_own(target);
  return rowhooks.remove_table(target);
end
$$;
