-- Purpose: detach rowhooks from a table. Its history stays; hooks on it start nothing more.
-- Parameters: target  the table
--             wait    how long to wait for the table's lock before giving up
-- Returns: true when the table was tracked
-- Writes:  rowhooks.tracked_table, by rowhooks.forget_table; the table's triggers
-- Runs with the caller's rights: he must own the table.
create or replace function rowhooks.untrack(target regclass, wait interval default '3 seconds') returns boolean
language plpgsql
set search_path = ''
as $$
declare
  trigger_name name;
  former_timeout constant text := pg_catalog.current_setting('lock_timeout');
begin
  perform pg_catalog.set_config('lock_timeout', (pg_catalog.date_part('epoch', wait) * 1000)::bigint::text, true);
  for trigger_name in
    select t.tgname
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where t.tgrelid = target and t.tgparentid = 0 and p.pronamespace = 'rowhooks'::regnamespace
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
  return rowhooks.forget_table(target);
end
$$;

-- Purpose: mark a table's entry as untracked and drop its capture function.
-- Parameters: target  the table, already without triggers
-- Returns: true when it was on the list
-- Writes:  rowhooks.tracked_table
create or replace function rowhooks.forget_table(target regclass) returns boolean
language plpgsql security definer
set search_path = ''
as $$
declare
  forgotten_id integer;
begin
  update rowhooks.tracked_table as t
  set untracked_at = pg_catalog.now()
  where t.relation = target and t.untracked_at is null
  returning t.id into forgotten_id;
  if forgotten_id is null then
    return false;
  end if;
  execute pg_catalog.format('drop function rowhooks.%I()', 'capture_' || forgotten_id);
  return true;
end
$$;
