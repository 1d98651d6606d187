-- Purpose: do what an act says with a run, a replay, a job, a token or the audit.
-- Parameters: given  the act, which its actor may do
-- Returns: what comes of it, as JSON; null: nothing
-- Writes:  rowhooks.job_result, rowhooks.job, rowhooks.job_hook_missed, rowhooks.token, rowhooks.audit
create or replace function rowhooks.act_on_runs(given rowhooks.act) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if given.act in ('retry', 'revoke') and given.noted is distinct from 'true' then
    raise exception 'there is no result %', given.object
      using errcode = 'no_data_found', hint = 'See: rowhooks results list';
  end if;
  case given.act
    when 'retry' then
      return pg_catalog.to_jsonb(rowhooks.run_again(given.object::pg_catalog.int8));
    when 'revoke' then
      return pg_catalog.to_jsonb(rowhooks.revoke_run(given.object::pg_catalog.int8));
    when 'replay' then
      return pg_catalog.to_jsonb(rowhooks.replay_changes(given.object, given.noted));
    when 'forget_missed' then
      return pg_catalog.to_jsonb(rowhooks.forget_missed_changes(
        given.object, (given.arguments ->> 'since')::timestamptz, (given.arguments ->> 'until')::timestamptz
      ));
    when 'enable_job', 'disable_job' then
      perform rowhooks.switch_job(given.object, given.act = 'enable_job');
    when 'remove_job' then
      return pg_catalog.to_jsonb(rowhooks.delete_job(given.object));
    when 'move_job' then
      perform rowhooks.replace_job(given.object, given.arguments ->> 'job');
    when 'prune_audit' then
      return pg_catalog.to_jsonb(rowhooks.delete_audit((given.arguments ->> 'older_than')::pg_catalog.interval));
    when 'create_token' then
      return pg_catalog.to_jsonb(rowhooks.put_token(given));
    when 'revoke_token' then
      perform rowhooks.end_token(given);
  end case;
  return null;
end
$$;

-- Purpose: do what an act says with a hook or a button.
-- Parameters: given  the act, which its actor may do
-- Returns: what comes of it, as JSON; null: nothing
-- Writes:  rowhooks.job_hook, rowhooks.job_hook_table, rowhooks.job_button, rowhooks.job_button_table, rowhooks.job
create or replace function rowhooks.act_on_origins(given rowhooks.act) returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  case given.act
    when 'enable_hook', 'disable_hook' then
      perform rowhooks.switch_hook(given.object, given.act = 'enable_hook');
    when 'enable_button', 'disable_button' then
      perform rowhooks.switch_button(given.object, given.act = 'enable_button');
    when 'create_job_hook' then
      return pg_catalog.to_jsonb(rowhooks.put_job_hook(given.object, given.arguments));
    when 'create_job_button' then
      return pg_catalog.to_jsonb(rowhooks.put_job_button(given.object, given.arguments));
    when 'alter_job_hook' then
      return pg_catalog.to_jsonb(rowhooks.change_job_hook(given.object, given.arguments));
    when 'alter_job_button' then
      return pg_catalog.to_jsonb(rowhooks.change_job_button(given.object, given.arguments));
    when 'drop_job_hook' then
      perform rowhooks.delete_job_hook(given.object);
    when 'drop_job_button' then
      perform rowhooks.delete_job_button(given.object);
  end case;
  return null;
end
$$;

-- Purpose: write the arguments of an act as people read them: tables by their names, changes by their number. The hash of a
--          token is left out.
-- Parameters: given  the act
-- Returns: the arguments for rowhooks.audit; null where there are none
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.arguments_for_audit(given rowhooks.act) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select nullif(coalesce(pg_catalog.jsonb_object_agg(a.key, case
    when a.key = 'changes' then pg_catalog.jsonb_build_object(
      'number', pg_catalog.jsonb_array_length(a.value),
      'first', (select pg_catalog.min(x.id::int8) from pg_catalog.jsonb_array_elements_text(a.value) as x (id)),
      'last', (select pg_catalog.max(x.id::int8) from pg_catalog.jsonb_array_elements_text(a.value) as x (id))
    )
    when a.key = 'tables' then (
      select pg_catalog.to_jsonb(pg_catalog.array_agg(x.id::oid::regclass::text order by x.place))
      from pg_catalog.jsonb_array_elements_text(a.value) with ordinality as x (id, place)
    )
    when a.key like '%\_tables' then (
      select pg_catalog.to_jsonb(pg_catalog.array_agg(rowhooks.qualified_name(t.schema_name, t.table_name) order by x.place))
      from pg_catalog.jsonb_array_elements_text(a.value) with ordinality as x (id, place)
      left join rowhooks.tracked_table as t on t.id = x.id::integer
    )
    else a.value
  end), '{}'), '{}')
  from pg_catalog.jsonb_each(given.arguments) as a (key, value)
  where a.key <> 'hash'
$$;

-- Purpose: decide whether an act may be done, do it, and write it down.
-- Returns: the act with its result
--          (INSTEAD OF INSERT row-level trigger function of rowhooks.act, the second of two)
-- Writes:  rowhooks.audit, and what the act says
-- It reads no user's table and calls nothing of a user's.
create or replace function rowhooks.perform_act() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Before it is done: what it removes has a name yet.
  said pg_catalog.jsonb;
begin
  perform rowhooks.check_act(new);
  said := rowhooks.arguments_for_audit(new);
  new.result := case
    when new.act ~ '_(hook|button)$' then rowhooks.act_on_origins(new)
    else rowhooks.act_on_runs(new)
  end;
  insert into rowhooks.audit (actor, login, act, object, arguments)
  values (new.actor, session_user, new.act, new.object, said);
  return new;
end
$$;
