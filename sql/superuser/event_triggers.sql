-- Event triggers, which only a superuser may make. Without them the daemon notices altered tables when it meets their
-- changes, and `rowhooks doctor` names new tables that a rule of tracking_rule means.
-- Nothing here ever fails another session's statement: what goes wrong is written to the server's log.

-- Purpose: say whether schema rowhooks is what a superuser has installed. The comment on the event trigger, which a superuser
--          alone can write, says what that was.
-- Returns: true where it is
-- Reads:   rowhooks.installation, once the catalogue shows that nothing is attached to it
create or replace function rowhooks.is_approved() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  approved constant pg_catalog.text := (
    select pg_catalog.obj_description(e.oid, 'pg_event_trigger')
    from pg_catalog.pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl'
  );
  present constant pg_catalog.text := rowhooks.fingerprint();
begin
  if pg_catalog.starts_with(approved, present || ' ') is not true then
    return false;
  end if;
  return (
    select approved = pg_catalog.concat_ws(' ', present, i.owner_role, i.capture_role) from rowhooks.installation as i
  );
end
$$;

-- Purpose: after DDL, bring tracked tables up to date, and track new tables that a rule means; after a tracked table was
--          dropped, mark its entry and drop its capture function.
-- Returns: event_trigger (of ddl_command_end and of sql_drop)
-- It is SECURITY DEFINER, of the superuser that installed it: the role that makes a table may have no right on rowhooks. So
-- it runs nothing that a weaker role could have changed: it stops while a role without superuser may act as the owner of
-- schema rowhooks, and where the schema is not what a superuser has installed. The functions that look at that are looked
-- at first, without a call of any function of the schema: the owner of the schema may drop them and make others. That they
-- belong to a superuser is not enough, which may have been given what a weaker role had made (REASSIGN OWNED). The comment
-- on this function, which a superuser alone can write, says what they were. So it is in one piece, and the query for them
-- stands once more at the end of this file: a function that both could call would be one more that may be another by now.
create or replace function rowhooks.after_ddl() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
-- Views and defaults can be read only while no session has locked their tables.
set lock_timeout = '500ms'
as $$
declare
  weaker pg_catalog.name;
  is_trusted pg_catalog.bool := false;
  mark pg_catalog.regprocedure;
begin
  -- Maintenance of the log holds locks, and is passed over.
  if tg_event = 'sql_drop' then
    if not exists (
      select from pg_catalog.pg_event_trigger_dropped_objects() as d where d.schema_name is distinct from 'rowhooks'
    ) then
      return;
    end if;
  elsif not exists (
    select from pg_catalog.pg_event_trigger_ddl_commands() as d where d.schema_name is distinct from 'rowhooks'
  ) then
    return;
  end if;

  -- Such a command matters to tables in the statement form alone, and not where it makes one of rowhooks' own triggers.
  if tg_tag in ('CREATE TRIGGER', 'CREATE RULE') and (
    not exists (
      select from pg_catalog.pg_proc as p
      where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname ~ '^capture_[0-9]+_mark$'
    )
    or not exists (
      select from pg_catalog.pg_event_trigger_ddl_commands() as d
      left join pg_catalog.pg_trigger as g on d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and g.oid = d.objid
      left join pg_catalog.pg_proc as p on p.oid = g.tgfoid
      where p.pronamespace is distinct from 'rowhooks'::pg_catalog.regnamespace
    )
  ) then
    return;
  end if;

  with recursive owner (role) as (
    select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'rowhooks'
  ),
  member (role) as (
    select o.role from owner as o
    union
    select m.member from member join pg_catalog.pg_auth_members as m on m.roleid = member.role
  )
  select r.rolname into weaker
  from member
  join pg_catalog.pg_roles as r on r.oid = member.role
  where not r.rolsuper and (r.rolcanlogin or r.oid <> (select o.role from owner as o))
  limit 1;
  if found then
    raise log 'rowhooks leaves DDL to the daemon: role % is no superuser and may act as the owner of schema rowhooks', weaker;
  elsif (
    select pg_catalog.md5(pg_catalog.string_agg(
      pg_catalog.concat_ws(
        ' ', p.proname, p.pronargs, r.rolsuper, p.prosecdef, p.provolatile, l.lanname, p.proconfig, p.prosrc
      ), e'\n' order by p.proname
    ))
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_roles as r on r.oid = p.proowner
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname in (
        'is_approved', 'fingerprint', 'follow_ddl', 'tables_to_follow', 'altered_relations', 'forget_dropped'
      )
  ) is distinct from (
    -- Not by its name: another schema may have the name by now.
    select pg_catalog.obj_description(e.evtfoid, 'pg_proc')
    from pg_catalog.pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl'
  ) then
    raise log 'rowhooks leaves DDL to the daemon: a function of its event triggers is not what a superuser has installed';
  elsif not rowhooks.is_approved() then
    raise log 'rowhooks leaves DDL to the daemon: schema rowhooks is not what a superuser has installed';
  else
    is_trusted := true;
  end if;
  if not is_trusted then
    -- Row triggers capture everything once the marks have gone; statement triggers may no longer be safe.
    for mark in
      select p.oid::pg_catalog.regprocedure from pg_catalog.pg_proc as p
      where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname ~ '^capture_[0-9]+_mark$' and p.pronargs = 0
    loop
      execute pg_catalog.format('drop function %s', mark);
    end loop;
  elsif tg_event = 'sql_drop' then
    perform rowhooks.forget_dropped();
  else
    perform rowhooks.follow_ddl();
  end if;
exception when others then
  raise log 'rowhooks could not follow a DDL command: %', sqlerrm;
end
$$;

-- Where a role had made a function of such a name before, the function still belonged to that role.
do $$
declare
  our_function pg_catalog.text;
begin
  foreach our_function in array array[
    'after_ddl', 'is_approved', 'fingerprint', 'follow_ddl', 'tables_to_follow', 'altered_relations', 'forget_dropped'
  ] loop
    execute pg_catalog.format('alter function rowhooks.%I() owner to %I', our_function, current_user);
    execute pg_catalog.format('revoke execute on function rowhooks.%I() from public', our_function);
  end loop;
end
$$;

-- The linter does not know event triggers.
-- noqa: disable=PRS
drop event trigger if exists rowhooks_after_ddl;
create event trigger rowhooks_after_ddl on ddl_command_end
when tag in (
  'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA',
  'ALTER TABLE', 'ALTER FOREIGN TABLE', 'CREATE SCHEMA', 'ALTER SCHEMA', 'ALTER TYPE', 'CREATE TRIGGER', 'CREATE RULE'
)
execute function rowhooks.after_ddl();

drop event trigger if exists rowhooks_after_drop;
create event trigger rowhooks_after_drop on sql_drop execute function rowhooks.after_ddl();

-- The schema as it is now is what this superuser approves of. It is written down here, in the transaction that installs: by
-- the next command a weaker role may have changed it.
do $$
begin
  execute pg_catalog.format('comment on function rowhooks.after_ddl() is %L', (
    -- As rowhooks.after_ddl reads them.
    select pg_catalog.md5(pg_catalog.string_agg(
      pg_catalog.concat_ws(
        ' ', p.proname, p.pronargs, r.rolsuper, p.prosecdef, p.provolatile, l.lanname, p.proconfig, p.prosrc
      ), e'\n' order by p.proname
    ))
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_roles as r on r.oid = p.proowner
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname in (
        'is_approved', 'fingerprint', 'follow_ddl', 'tables_to_follow', 'altered_relations', 'forget_dropped'
      )
  ));
  execute pg_catalog.format('comment on event trigger rowhooks_after_ddl is %L', (
    select pg_catalog.concat_ws(' ', rowhooks.fingerprint(), i.owner_role, i.capture_role) from rowhooks.installation as i
  ));
end
$$;
