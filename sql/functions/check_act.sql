-- Purpose: list the acts that there are.
-- Returns: act    its name, which is that of the function for it
--          level  who may do it, see rowhooks.access_level
--          deed   what it is, as a part of a message
--          keys   what its arguments may hold
create or replace function rowhooks.known_acts() returns table (act text, level text, deed text, keys text[])
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  values
    ('retry', 'operator', 'run anything again', '{}'::text[]),
    ('revoke', 'operator', 'revoke runs', '{}'),
    ('replay', 'operator', 'replay changes', '{changes}'),
    ('forget_missed', 'operator', 'forget the changes that a hook has missed', '{since,until}'),
    ('enable_job', 'operator', 'enable jobs', '{}'),
    ('disable_job', 'operator', 'disable jobs', '{}'),
    ('enable_hook', 'operator', 'enable hooks', '{}'),
    ('disable_hook', 'operator', 'disable hooks', '{}'),
    ('enable_button', 'operator', 'enable buttons', '{}'),
    ('disable_button', 'operator', 'disable buttons', '{}'),
    (
      'create_job_hook', 'admin', 'add hooks',
      '{job,tables,actions,columns,ignored_columns,conditions,on_undecided,queue,enabled,or_replace,expected}'
    ),
    (
      'alter_job_hook', 'admin', 'change hooks',
      '{name,job,actions,columns,ignored_columns,conditions,on_undecided,queue,only_tables,more_tables,fewer_tables}'
    ),
    ('drop_job_hook', 'admin', 'remove hooks', '{}'),
    (
      'create_job_button', 'admin', 'add buttons',
      '{job,tables,text,group_name,weight,button_class,confirmation,roles,queue,enabled,or_replace,expected}'
    ),
    (
      'alter_job_button', 'admin', 'change buttons',
      '{job,text,group_name,weight,button_class,confirmation,roles,queue,enabled,only_tables,more_tables,fewer_tables}'
    ),
    ('drop_job_button', 'admin', 'remove buttons', '{}'),
    ('remove_job', 'admin', 'remove jobs', '{}'),
    ('move_job', 'admin', 'move jobs', '{job}'),
    ('prune_audit', 'admin', 'forget who did what', '{older_than}'),
    -- Whose tokens, is decided where they are created and revoked.
    ('create_token', 'none', 'create tokens', '{hash,scopes,expires_at,role}'),
    ('revoke_token', 'none', 'revoke tokens', '{}')
$$;

-- Purpose: refuse an act that there is not, or that its actor may not do.
-- Parameters: given  what was inserted into rowhooks.act, with the actor
-- Returns: nothing
-- Reads:   rowhooks.installation
create or replace function rowhooks.check_act(given rowhooks.act) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  levels constant pg_catalog.text[] := array['none', 'viewer', 'operator', 'admin'];
  installed rowhooks.installation;
  known pg_catalog.record;
begin
  select k.* into known from rowhooks.known_acts() as k where k.act = given.act;
  if not found then
    raise exception 'rowhooks: there is no act %', coalesce(given.act, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Call the function for it, for example: select rowhooks.retry(1)';
  end if;
  select i.* into strict installed from rowhooks.installation as i;
  if
    pg_catalog.array_position(levels, rowhooks.access_level(given.actor, installed))
    < pg_catalog.array_position(levels, known.level)
  then
    raise exception 'role % may not %', given.actor, known.deed
      using
        errcode = 'insufficient_privilege',
        hint = pg_catalog.format(
          'Let an administrator run: grant %I to %I',
          case known.level when 'operator' then installed.operator_role else installed.admin_role end, given.actor
        );
  end if;
  if pg_catalog.jsonb_typeof(given.arguments) <> 'object' or given.arguments - known.keys <> '{}' then
    raise exception 'rowhooks: these are no arguments of the act %', given.act
      using
        errcode = 'invalid_parameter_value',
        hint = coalesce('It takes: ' || nullif(pg_catalog.array_to_string(known.keys, ', '), ''), 'It takes none.');
  end if;
end
$$;
