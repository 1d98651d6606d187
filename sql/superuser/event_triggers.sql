-- Event triggers, which only a superuser may make. Without them the daemon notices altered tables when it meets their
-- changes, and `rowhooks doctor` names new tables that a rule of tracking_rule means.
-- Nothing here ever fails the statement of somebody else: what goes wrong is written to the server's log.

-- Purpose: after DDL, bring tracked tables up to date, and track new tables that a rule means; after a tracked table was
--          dropped, mark its entry and drop its capture function: its history stays.
-- Returns: event_trigger (of ddl_command_end and of sql_drop)
-- Reads:   rowhooks.tracked_table, rowhooks.tracking_rule, rowhooks.installation
-- Writes:  rowhooks.tracked_table, by rowhooks.refresh_table, rowhooks.track and rowhooks.untrack too
-- SECURITY DEFINER, of the superuser who installed it: whoever makes the table may know nothing of rowhooks. So nothing
-- runs here that somebody weaker could have changed: not while a role without superuser may act as the owner of schema
-- rowhooks, nor with functions and triggers other than those that a superuser has installed. The comment on the event
-- trigger, which a superuser alone can write, says which those are.
create or replace function rowhooks.after_ddl() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
-- What is compared below is written as it was for whoever installed.
set quote_all_identifiers = off
set standard_conforming_strings = on
-- Views and defaults can be looked at only where nobody has locked their tables.
set lock_timeout = '500ms'
as $$
declare
  weaker pg_catalog.name;
  approved constant pg_catalog.text := (
    select pg_catalog.obj_description(e.oid, 'pg_event_trigger')
    from pg_catalog.pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl'
  );
  present pg_catalog.text;
  is_approved boolean;
  target record;
  gone integer;
begin
  -- Housekeeping of the log, which holds locks meanwhile.
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

  with recursive member (role) as (
    select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'rowhooks'
    union
    select m.member from member join pg_catalog.pg_auth_members as m on m.roleid = member.role
  )
  select r.rolname into weaker
  from member
  join pg_catalog.pg_roles as r on r.oid = member.role
  where not r.rolsuper
    and (r.rolcanlogin or r.oid <> (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'rowhooks'))
  limit 1;
  if found then
    raise log 'rowhooks leaves DDL to the daemon: role % is no superuser and may act as the owner of schema rowhooks', weaker;
    return;
  end if;

  -- From the catalogue alone: reading a table of the schema would run what somebody has attached to it.
  select pg_catalog.concat('rowhooks ', pg_catalog.md5(pg_catalog.string_agg(o.what, e'\n' order by o.what collate "C")))
  into present
  from (
    with ours as (
      select
        c.oid, c.relname, c.relkind, c.relpersistence, c.relispartition, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
        c.reloptions, c.relacl
      from pg_catalog.pg_class as c
      where c.relnamespace = 'rowhooks'::pg_catalog.regnamespace
    )
    select pg_catalog.concat_ws(
      ' ', 'function', p.oid::pg_catalog.regprocedure, p.proowner::pg_catalog.regrole, p.prosecdef, p.provolatile, l.lanname,
      p.proconfig, p.prosrc, p.prosqlbody
    ) as what
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname !~ '^(capture_[0-9]+|after_ddl)$'
    union all
    select pg_catalog.concat_ws(
      ' ', 'relation', o.relname, o.relkind, o.relpersistence, o.relowner::pg_catalog.regrole, o.relrowsecurity,
      o.relforcerowsecurity, o.reloptions, case when o.relkind = 'v' then pg_catalog.pg_get_viewdef(o.oid) end
    )
    from ours as o
    where not o.relispartition and o.relkind not in ('i', 'I')
    union all
    select pg_catalog.concat_ws(' ', 'grant', o.relname, a.grantee::pg_catalog.regrole, a.privilege_type, a.is_grantable)
    from ours as o
    cross join lateral pg_catalog.aclexplode(o.relacl) as a
    where a.grantee <> o.relowner and (a.privilege_type <> 'SELECT' or o.relispartition)
    union all
    select pg_catalog.concat_ws(' ', 'grant', o.relname, t.attname, a.grantee::pg_catalog.regrole, a.privilege_type)
    from ours as o
    join pg_catalog.pg_attribute as t on t.attrelid = o.oid
    cross join lateral pg_catalog.aclexplode(t.attacl) as a
    where a.privilege_type <> 'SELECT' or o.relispartition
    union all
    select pg_catalog.concat_ws(' ', 'schema', n.nspowner::pg_catalog.regrole, a.grantee::pg_catalog.regrole)
    from pg_catalog.pg_namespace as n
    left join lateral pg_catalog.aclexplode(n.nspacl) as a on a.privilege_type = 'CREATE'
    where n.nspname = 'rowhooks'
    union all
    select pg_catalog.concat_ws(' ', 'default privileges', d.defaclrole::pg_catalog.regrole, d.defaclobjtype, d.defaclacl)
    from pg_catalog.pg_default_acl as d
    join pg_catalog.pg_namespace as n on n.nspname = 'rowhooks' and (d.defaclnamespace = n.oid or d.defaclrole = n.nspowner)
    union all
    select pg_catalog.concat_ws(
      ' ', 'column', o.relname, t.attnum, t.attname, pg_catalog.format_type(t.atttypid, t.atttypmod), t.attnotnull,
      t.attidentity, t.attgenerated, t.attcollation::pg_catalog.regcollation
    )
    from ours as o
    join pg_catalog.pg_attribute as t on t.attrelid = o.oid and t.attnum > 0 and not t.attisdropped
    where not o.relispartition and o.relkind not in ('i', 'I')
    union all
    select pg_catalog.concat_ws(' ', 'index', pg_catalog.pg_get_indexdef(i.indexrelid))
    from ours as o
    join pg_catalog.pg_index as i on i.indrelid = o.oid
    join pg_catalog.pg_class as c on c.oid = i.indexrelid
    -- Those of a partition are the log's own, by name and definition.
    where not c.relispartition
    union all
    select pg_catalog.concat_ws(' ', 'trigger', t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid))
    from ours as o
    join pg_catalog.pg_trigger as t on t.tgrelid = o.oid and not t.tgisinternal
    union all
    select pg_catalog.concat_ws(' ', 'rule', o.relname, r.rulename, r.ev_enabled)
    from ours as o
    join pg_catalog.pg_rewrite as r on r.ev_class = o.oid
    union all
    select pg_catalog.concat_ws(' ', 'default', o.relname, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
    from ours as o
    join pg_catalog.pg_attrdef as d on d.adrelid = o.oid
    where not o.relispartition
      or not exists (
        select from pg_catalog.pg_attrdef as e
        where e.adrelid = pg_catalog.to_regclass('rowhooks.object_change') and e.adnum = d.adnum
          and pg_catalog.pg_get_expr(e.adbin, e.adrelid) = pg_catalog.pg_get_expr(d.adbin, d.adrelid)
      )
    union all
    select pg_catalog.concat_ws(' ', 'constraint', o.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))
    from ours as o
    join pg_catalog.pg_constraint as k on k.conrelid = o.oid
    -- PostgreSQL 18 has one for each column that is not null too.
    where k.contype <> 'n' and (not o.relispartition or k.conparentid = 0)
    union all
    select pg_catalog.concat_ws(' ', 'policy', o.relname, k.polname)
    from ours as o
    join pg_catalog.pg_policy as k on k.polrelid = o.oid
    union all
    select pg_catalog.concat_ws(' ', 'type', t.typname, t.typtype, t.typowner::pg_catalog.regrole)
    from pg_catalog.pg_type as t
    where t.typnamespace = 'rowhooks'::pg_catalog.regnamespace and t.typrelid = 0 and t.typelem = 0
    union all
    select pg_catalog.concat_ws(' ', 'operator', k.oid::pg_catalog.regoperator)
    from pg_catalog.pg_operator as k where k.oprnamespace = 'rowhooks'::pg_catalog.regnamespace
    union all
    select pg_catalog.concat_ws(' ', 'collation', k.collname)
    from pg_catalog.pg_collation as k where k.collnamespace = 'rowhooks'::pg_catalog.regnamespace
    union all
    select pg_catalog.concat_ws(' ', 'cast', k.castsource::pg_catalog.regtype, k.casttarget::pg_catalog.regtype)
    from pg_catalog.pg_cast as k
    join pg_catalog.pg_type as t on t.oid in (k.castsource, k.casttarget)
    where t.typnamespace = 'rowhooks'::pg_catalog.regnamespace
  ) as o;
  if approved = 'rowhooks' then
    -- It was made by this transaction.
    select pg_catalog.concat_ws(' ', present, i.owner_role, i.capture_role) into present from rowhooks.installation as i;
    execute pg_catalog.format('comment on event trigger rowhooks_after_ddl is %L', present);
    return;
  end if;
  is_approved := pg_catalog.starts_with(approved, present || ' ');
  if is_approved then
    select approved = pg_catalog.concat_ws(' ', present, i.owner_role, i.capture_role)
    into is_approved
    from rowhooks.installation as i;
  end if;
  if is_approved is not true then
    raise log 'rowhooks leaves DDL to the daemon: schema rowhooks is not what a superuser has installed';
    return;
  end if;

  if tg_event = 'sql_drop' then
    for gone in
      select t.id
      from pg_catalog.pg_event_trigger_dropped_objects() as d
      join rowhooks.tracked_table as t on t.relation = d.objid and t.untracked_at is null
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objsubid = 0
    loop
      begin
        update rowhooks.tracked_table set untracked_at = pg_catalog.now() where id = gone;
        -- Cascade: the table's owner may have attached the function to another table of his.
        execute pg_catalog.format('drop function if exists rowhooks.%I() cascade', 'capture_' || gone);
      exception when others then
        raise log 'rowhooks could not forget tracked table %: %', gone, sqlerrm;
      end;
    end loop;
    return;
  end if;

  for target in
    with recursive altered (objid) as (
      select d.objid
      from pg_catalog.pg_event_trigger_ddl_commands() as d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      union
      -- What is done to a parent, ATTACH PARTITION too, is done to its children and does not name them.
      select i.inhrelid
      from altered as a
      join pg_catalog.pg_inherits as i on i.inhparent = a.objid
    ),
    met as (
      select a.objid from altered as a
      union
      select c.oid
      from pg_catalog.pg_event_trigger_ddl_commands() as d
      join pg_catalog.pg_class as c on c.relnamespace = d.objid
      where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
      union
      -- A type may be part of another one, and that the type of a column somewhere.
      select t.relation
      from rowhooks.tracked_table as t
      where t.untracked_at is null
        and exists (
          select from pg_catalog.pg_event_trigger_ddl_commands() as d
          where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.object_type like '%type'
            or d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
        )
    )
    select
      c.oid::pg_catalog.regclass as relation,
      t.id,
      r.audit_receivers,
      r.always,
      t.id is not null and exists (
        select from pg_catalog.pg_partition_ancestors(c.oid) as p
        join rowhooks.tracked_table as o on o.relation = p.relid and o.untracked_at is null
        where p.relid <> c.oid
      ) as attached,
      -- It has a virtual generated column, and a trigger as an older release or server makes them, which computes it.
      exists (
        select from pg_catalog.pg_trigger as g
        where g.tgrelid = c.oid and g.tgname = '!rowhooks_update_' || t.id
          and g.tgqual is not null
          and exists (select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attgenerated = 'v')
      ) as has_old_trigger
    from met as a
    join pg_catalog.pg_class as c on c.oid = a.objid and c.relkind in ('r', 'p', 'f')
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join rowhooks.tracked_table as t on t.relation = c.oid and t.untracked_at is null
    left join lateral (
      select r.audit_receivers, r.always
      from rowhooks.tracking_rule as r
      where rowhooks.matches_glob(pg_catalog.format('%s.%s', n.nspname, c.relname), r.pattern)
        and not c.relispartition
        and c.relpersistence <> 't'
        and n.nspname not in ('rowhooks', 'pg_catalog', 'information_schema')
        -- It is tracked once it has a key; who untracked it by hand meant it.
        and exists (select from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisprimary)
        and not exists (select from rowhooks.tracked_table as f where f.relation = c.oid)
      order by r.pattern
      limit 1
    ) as r on true
    where t.id is not null or r.always is not null
  loop
    begin
      if target.attached then
        -- Recorded from now on as the partition that it has become.
        perform rowhooks.untrack(target.relation);
      elsif target.id is not null then
        perform rowhooks.refresh_table(target.id);
        if target.has_old_trigger then
          perform rowhooks.track(
            t.relation, t.audit_receivers, identity => case when t.identity <> 'key' then t.key_columns::text[] end,
            always => t.always
          )
          from rowhooks.tracked_table as t where t.id = target.id;
        end if;
      else
        perform rowhooks.track(target.relation, target.audit_receivers, always => target.always);
      end if;
    exception when others then
      raise log 'rowhooks could not follow the change of %: %', target.relation, sqlerrm;
    end;
  end loop;
exception when others then
  raise log 'rowhooks could not follow a DDL command: %', sqlerrm;
end
$$;

-- Whoever made a function of that name before owned it still.
do $$
begin
  execute pg_catalog.format('alter function rowhooks.after_ddl() owner to %I', current_user);
end
$$;

-- The linter does not know event triggers.
-- noqa: disable=PRS
drop event trigger if exists rowhooks_after_ddl;
create event trigger rowhooks_after_ddl on ddl_command_end
when tag in (
  'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA',
  'ALTER TABLE', 'ALTER FOREIGN TABLE', 'CREATE SCHEMA', 'ALTER SCHEMA', 'ALTER TYPE'
)
execute function rowhooks.after_ddl();

drop event trigger if exists rowhooks_after_drop;
create event trigger rowhooks_after_drop on sql_drop execute function rowhooks.after_ddl();

-- That of older releases.
drop function if exists rowhooks.after_drop();

revoke execute on function rowhooks.after_ddl() from public;

-- What stands in the schema now is what this superuser approves of: the next command writes that down.
comment on event trigger rowhooks_after_ddl is 'rowhooks';
do $$
begin
  execute (
    select pg_catalog.format('alter schema rowhooks owner to %s', n.nspowner::pg_catalog.regrole)
    from pg_catalog.pg_namespace as n where n.nspname = 'rowhooks'
  );
end
$$;
