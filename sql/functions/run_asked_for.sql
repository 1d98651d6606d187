-- Purpose: wake the leader up for a run that somebody asks for: a press, a retry, a replay.
-- Returns: null (AFTER INSERT row-level trigger function of rowhooks.job_result, where lease is null: the leader's own
--          inserts, which carry its lease, are passed over by the trigger's WHEN and call nothing)
-- It is the owner's, so that whoever may ask for a run needs no right on the bell. However many rows a transaction
-- inserts, PostgreSQL sends one message.
create or replace function rowhooks.run_asked_for() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform rowhooks.ring_bell();
  return null;
end
$$;

-- Purpose: refuse that a login of the receivers' own asks for a run in somebody's name, or changes what came of one that
--          has ended. It may put on record what came of a run, for which it has rights on columns and not on the table.
-- Returns: null (AFTER row-level trigger function of rowhooks.job_result, for the rows that this may be about)
-- It runs with the rights of whoever writes: a press is written by the owner.
create or replace function rowhooks.check_recorder() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not pg_catalog.has_table_privilege('rowhooks.job_result', tg_op) then
    raise exception 'role % may put on record what came of a run, and nothing else', current_user
      using
        errcode = 'insufficient_privilege',
        hint = 'Press a button by rowhooks.press; run one again as a member of the daemon''s role.';
  end if;
  return null;
end
$$;
