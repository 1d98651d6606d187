SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA rowhooks;
ALTER SCHEMA rowhooks OWNER TO rowhooks_owner;
CREATE TYPE rowhooks.object_change_action AS ENUM (
    'create',
    'update',
    'delete',
    'truncate'
);
ALTER TYPE rowhooks.object_change_action OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.after_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET quote_all_identifiers TO 'off'
    SET standard_conforming_strings TO 'on'
    SET lock_timeout TO '500ms'
    AS $_$
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
    select c.oid::pg_catalog.regclass as relation, t.id, r.audit_receivers, r.always, t.id is not null and exists (
      select from pg_catalog.pg_partition_ancestors(c.oid) as p
      join rowhooks.tracked_table as o on o.relation = p.relid and o.untracked_at is null
      where p.relid <> c.oid
    ) as attached
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
$_$;
ALTER FUNCTION rowhooks.after_ddl() OWNER TO postgres;
CREATE FUNCTION rowhooks.always_quoted(column_name name) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select pg_catalog.concat('"', pg_catalog.replace(column_name::pg_catalog.text, '"', '""'), '"')
$$;
ALTER FUNCTION rowhooks.always_quoted(column_name name) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.arm_bell(patience interval) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  -- A lock_timeout of 0 would wait for ever.
  perform pg_catalog.set_config(
    'lock_timeout', greatest((pg_catalog.date_part('epoch', patience) * 1000)::bigint, 1)::pg_catalog.text, true
  );
  perform pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('rowhooks.bell', 0));
  return true;
exception when lock_not_available then
  return false;
end
$$;
ALTER FUNCTION rowhooks.arm_bell(patience interval) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.asks_for(columns text[], conditions jsonb, column_name name) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select column_name = any (columns) or exists (
    select from pg_catalog.jsonb_path_query(conditions, 'strict $.**.attr') as p (attr)
    cross join lateral pg_catalog.regexp_replace(p.attr #>> '{}', '^(new|old)[.]', '') as q (path)
    where column_name in (pg_catalog.split_part(p.attr #>> '{}', '.', 1), pg_catalog.split_part(q.path, '.', 1))
  )
$_$;
ALTER FUNCTION rowhooks.asks_for(columns text[], conditions jsonb, column_name name) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.attach_partition(partition name, lower_id bigint, upper_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  execute pg_catalog.format(
    'alter table rowhooks.object_change attach partition rowhooks.%I for values from (%s) to (%s)',
    partition, lower_id, upper_id
  );
  execute pg_catalog.format('alter table rowhooks.%I drop constraint object_change_bounds', partition);
end
$$;
ALTER FUNCTION rowhooks.attach_partition(partition name, lower_id bigint, upper_id bigint) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.base_type(type_id oid) RETURNS oid
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  with recursive step (id, base) as (
    select t.oid, t.typbasetype from pg_catalog.pg_type as t where t.oid = type_id
    union all
    select t.oid, t.typbasetype from step as s join pg_catalog.pg_type as t on t.oid = s.base
  )
  select s.id from step as s where s.base = 0
$$;
ALTER FUNCTION rowhooks.base_type(type_id oid) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.build_capture(target_id integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  tracked rowhooks.tracked_table;
  function_name constant pg_catalog.text := pg_catalog.format('capture_%s', target_id);
  body constant pg_catalog.text := rowhooks.source_of_capture(target_id);
  description pg_catalog.text;
begin
  select t.* into strict tracked from rowhooks.tracked_table as t where t.id = target_id;
  description := pg_catalog.format(
    'rowhooks: captures %I.%I (generated by rowhooks.track)', tracked.schema_name, tracked.table_name
  );
  if exists (
    select
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_class as c on c.oid = tracked.relation
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname = function_name
      and p.prosrc = body
      and p.prosecdef
      and p.proconfig is null
      and pg_catalog.obj_description(p.oid, 'pg_proc') = description
      and pg_catalog.has_function_privilege(c.relowner, p.oid, 'execute')
  ) then
    return function_name;
  end if;
  execute pg_catalog.format(
    'create or replace function rowhooks.%I() returns trigger language plpgsql security definer as %L',
    function_name, body
  );
  execute pg_catalog.format('comment on function rowhooks.%I() is %L', function_name, description);
  execute pg_catalog.format('revoke execute on function rowhooks.%I() from public', function_name);
  -- A former owner of the table has no say in its history.
  execute coalesce(
    (
      select pg_catalog.string_agg(
        pg_catalog.format('revoke execute on function rowhooks.%I() from %s', function_name, a.grantee::pg_catalog.regrole), ';'
      )
      from pg_catalog.pg_proc as p
      cross join lateral pg_catalog.aclexplode(p.proacl) as a
      where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
        and p.proname = function_name
        and a.grantee not in (0, p.proowner)
    ),
    'select'
  );
  -- The owner adds partitions, which copies the triggers and asks for this right. It lets him do nothing new: on another
  -- table the function does nothing.
  execute (
    select pg_catalog.format(
      'grant execute on function rowhooks.%I() to %s', function_name, c.relowner::pg_catalog.regrole
    )
    from pg_catalog.pg_class as c
    where c.oid = tracked.relation
  );
  return function_name;
end
$$;
ALTER FUNCTION rowhooks.build_capture(target_id integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.capture_1() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    AS $$
declare
  run pg_catalog.text;
  claimed_user pg_catalog.text;
  request pg_catalog.text;
  context pg_catalog.text;
  -- The row before an update, and the row after it; of a create or delete its only row.
  before_data pg_catalog.jsonb;
  row_data pg_catalog.jsonb;
  identity pg_catalog.jsonb;
  representation pg_catalog.text;
  problem pg_catalog.text;
  other_problem pg_catalog.text;
  is_marked pg_catalog.bool := false;
  is_by_columns pg_catalog.bool := false;
  is_foreign pg_catalog.bool := false;
begin
  -- Nothing but the triggers that rowhooks.track makes records anything.
  if tg_when operator(pg_catalog.<>) 'AFTER' then
    return case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end;
  elsif tg_level operator(pg_catalog.<>) 'ROW' and tg_op operator(pg_catalog.<>) 'TRUNCATE' then
    return null;
  end if;
  if tg_relid operator(pg_catalog.<>) 21409::pg_catalog.oid then
    if not rowhooks.is_captured(tg_relid, 1) then
      return null;
    end if;
    is_by_columns := true;
  end if;
  
  -- Asked in one expression, because hardly anybody sets them. A variable that SET LOCAL left behind is an empty string.
  if
    pg_catalog.current_setting('rowhooks.receiver', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.user', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.request_id', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.context', true) operator(pg_catalog.<>) ''
  then
    is_marked := true;
    run := pg_catalog.current_setting('rowhooks.receiver', true);
    claimed_user := pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255);
    request := pg_catalog.left(pg_catalog.current_setting('rowhooks.request_id', true), 255);
    context := pg_catalog.left(pg_catalog.current_setting('rowhooks.context', true), 1000);
    if claimed_user operator(pg_catalog.=) '' then claimed_user := null; end if;
    if request operator(pg_catalog.=) '' then request := null; end if;
    if context operator(pg_catalog.=) '' then context := null; end if;
    if run operator(pg_catalog.=) '' then
      run := null;
    elsif run is not null then
      if not rowhooks.is_receiver() then
        run := null;
      elsif 'false' then
        context := 'job-hook';
      else
        return null;
      end if;
    end if;
  end if;
  if tg_op operator(pg_catalog.=) 'TRUNCATE' then
    insert into rowhooks.object_change (action, tracked_table, user_name, request_id, change_context, receiver)
    values ('truncate', 1, claimed_user, request, context, run);
    if not pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended('rowhooks.bell', 0)) then if pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5 then perform pg_catalog.pg_notify('rowhooks', ''); end if; end if;
    return null;
  end if;
  
  if not is_by_columns then
    begin
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        if pg_catalog.has_column_privilege(21409::pg_catalog.oid, 4::pg_catalog.int2, 'select') is null and (select pg_catalog.count(*) from pg_catalog.pg_attribute as a where a.attrelid operator(pg_catalog.=) 21409::pg_catalog.oid and a.attnum operator(pg_catalog.=) 3::pg_catalog.int2 and a.attname operator(pg_catalog.=) 'secret'::pg_catalog.name) operator(pg_catalog.=) 1 and pg_catalog.pg_typeof(new."id") operator(pg_catalog.=) 23::pg_catalog.oid and pg_catalog.pg_typeof(new."name") operator(pg_catalog.=) 25::pg_catalog.oid then
          before_data := (select pg_catalog.to_jsonb(listed.*) from (select old."id" as "id", old."name" as "name") as listed);
          row_data := (select pg_catalog.to_jsonb(listed.*) from (select new."id" as "id", new."name" as "name") as listed);
        end if;
      elsif tg_op operator(pg_catalog.=) 'INSERT' then
        if pg_catalog.has_column_privilege(21409::pg_catalog.oid, 4::pg_catalog.int2, 'select') is null and (select pg_catalog.count(*) from pg_catalog.pg_attribute as a where a.attrelid operator(pg_catalog.=) 21409::pg_catalog.oid and a.attnum operator(pg_catalog.=) 3::pg_catalog.int2 and a.attname operator(pg_catalog.=) 'secret'::pg_catalog.name) operator(pg_catalog.=) 1 and pg_catalog.pg_typeof(new."id") operator(pg_catalog.=) 23::pg_catalog.oid and pg_catalog.pg_typeof(new."name") operator(pg_catalog.=) 25::pg_catalog.oid then
          row_data := (select pg_catalog.to_jsonb(listed.*) from (select new."id" as "id", new."name" as "name") as listed);
        end if;
      elsif pg_catalog.has_column_privilege(21409::pg_catalog.oid, 4::pg_catalog.int2, 'select') is null and (select pg_catalog.count(*) from pg_catalog.pg_attribute as a where a.attrelid operator(pg_catalog.=) 21409::pg_catalog.oid and a.attnum operator(pg_catalog.=) 3::pg_catalog.int2 and a.attname operator(pg_catalog.=) 'secret'::pg_catalog.name) operator(pg_catalog.=) 1 and pg_catalog.pg_typeof(old."id") operator(pg_catalog.=) 23::pg_catalog.oid and pg_catalog.pg_typeof(old."name") operator(pg_catalog.=) 25::pg_catalog.oid then
        row_data := (select pg_catalog.to_jsonb(listed.*) from (select old."id" as "id", old."name" as "name") as listed);
      end if;
      is_by_columns := coalesce(
        pg_catalog.pg_column_size(row_data)
        operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(before_data), 0) operator(pg_catalog.>) 80000000,
        true
      );
    exception when others then
      is_by_columns := true;
    end;
  end if;
  if is_by_columns then
    is_marked := true;
    if tg_op operator(pg_catalog.=) 'DELETE' then
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(1, tg_relid, old) as r;
    else
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(1, tg_relid, new) as r;
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        select r.data, r.problem into before_data, other_problem from rowhooks.row_by_columns(1, tg_relid, old) as r;
        problem := coalesce(problem, other_problem);
      end if;
    end if;
  end if;
  
  if not is_by_columns and tg_op operator(pg_catalog.=) 'UPDATE' then
    if pg_catalog.record_image_eq(row(old."id", old."name"), row(new."id", new."name")) then
      return null;
    end if;
  end if;
      
  -- An INSERT is set up anew for each row, column by column: those that are empty are left out.
  if is_marked or (row_data operator(pg_catalog.->) 'id') is null then
    
    if (row_data operator(pg_catalog.->) 'id') is null then
      identity := rowhooks.present_key(1, row_data);
      representation := pg_catalog.left(coalesce(row_data operator(pg_catalog.->>) 'name', pg_catalog.concat_ws(
        ', ', variadic array(select v.value from pg_catalog.jsonb_each_text(identity) as v)
      )), 200);
    else
      identity := pg_catalog.jsonb_build_object('id', row_data operator(pg_catalog.->) 'id');
      representation := pg_catalog.left(coalesce(row_data operator(pg_catalog.->>) 'name', (row_data operator(pg_catalog.->>) 'id')), 200);
    end if;
      
    insert into rowhooks.object_change (
      action, tracked_table, object_id, object_repr, prechange, postchange,
      user_name, request_id, change_context, receiver, capture_error
    )
    values (
      (
        case
          when tg_op operator(pg_catalog.=) 'UPDATE' then 'update'
          when tg_op operator(pg_catalog.=) 'INSERT' then 'create'
          else 'delete'
        end
      )::rowhooks.object_change_action,
      1, identity, representation,
      case when tg_op operator(pg_catalog.=) 'DELETE' then row_data else before_data end,
      case when tg_op operator(pg_catalog.<>) 'DELETE' then row_data end,
      claimed_user, request, context, run, problem
    );
  elsif tg_op operator(pg_catalog.=) 'UPDATE' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange, postchange)
    values ('update', 1, pg_catalog.jsonb_build_object('id', row_data operator(pg_catalog.->) 'id'), pg_catalog.left(coalesce(row_data operator(pg_catalog.->>) 'name', (row_data operator(pg_catalog.->>) 'id')), 200), before_data, row_data);
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, postchange)
    values ('create', 1, pg_catalog.jsonb_build_object('id', row_data operator(pg_catalog.->) 'id'), pg_catalog.left(coalesce(row_data operator(pg_catalog.->>) 'name', (row_data operator(pg_catalog.->>) 'id')), 200), row_data);
  else
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange)
    values ('delete', 1, pg_catalog.jsonb_build_object('id', row_data operator(pg_catalog.->) 'id'), pg_catalog.left(coalesce(row_data operator(pg_catalog.->>) 'name', (row_data operator(pg_catalog.->>) 'id')), 200), row_data);
  end if;
  if not pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended('rowhooks.bell', 0)) then if pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5 then perform pg_catalog.pg_notify('rowhooks', ''); end if; end if;
  return null;
end
$$;
ALTER FUNCTION rowhooks.capture_1() OWNER TO rowhooks_capture;
COMMENT ON FUNCTION rowhooks.capture_1() IS 'rowhooks: captures public.thing (generated by rowhooks.track)';
CREATE FUNCTION rowhooks.captured_columns(target_id integer, carrier oid) RETURNS TABLE(name name, type oid, form text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select a.attname, a.atttypid, rowhooks.json_form(a.atttypid)
  from pg_catalog.pg_attribute as a
  where a.attrelid = carrier and a.attnum > 0 and not a.attisdropped
    and not exists (
      select from rowhooks.tracked_table as t
      left join pg_catalog.pg_attribute as e on e.attrelid = t.relation and e.attnum = any (t.excluded_numbers)
      where t.id = target_id and (e.attname = a.attname or a.attname = any (t.excluded_columns))
    )
  order by a.attnum
$$;
ALTER FUNCTION rowhooks.captured_columns(target_id integer, carrier oid) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.check_button() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  its_job rowhooks.job;
begin
  select j.* into its_job from rowhooks.job as j where j.id = new.job_id;
  if not found then
    -- The foreign key says so.
    return new;
  end if;
  if its_job.kind <> 'button' then
    raise exception 'button % cannot start job %: it is a % receiver', new.name, its_job.class_path, its_job.kind
      using errcode = 'invalid_parameter_value', hint = 'Name a job that is a JobButtonReceiver.';
  end if;
  if tg_op = 'UPDATE' and new.enabled and not old.enabled then
    if not its_job.installed then
      raise exception 'button % cannot be enabled: its job % is not installed', new.name, its_job.class_path
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = 'Add its module to rowhooks.toml and restart the daemon.';
    elsif not its_job.enabled then
      raise exception 'button % cannot be enabled: its job % is disabled', new.name, its_job.class_path
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = pg_catalog.format('Run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
    end if;
  end if;
  return new;
end
$$;
ALTER FUNCTION rowhooks.check_button() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.check_conditions(conditions jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  with recursive node (place, condition, depth) as (
    select null::pg_catalog.text, $1, 1
    where $1 is not null
    union all
    select pg_catalog.concat_ws('.', n.place, part.place), part.condition, n.depth + 1
    from node as n
    cross join lateral (
      select pg_catalog.format('%s[%s]', logic.name, item.number - 1) as place, item.value as condition
      from (values ('and'), ('or')) as logic (name)
      cross join lateral pg_catalog.jsonb_array_elements(
        case pg_catalog.jsonb_typeof(n.condition -> logic.name) when 'array' then n.condition -> logic.name else '[]' end
      ) with ordinality as item (value, number)
      where pg_catalog.jsonb_typeof(n.condition) = 'object'
      union all
      select 'not', n.condition -> 'not'
      where pg_catalog.jsonb_typeof(n.condition) = 'object' and n.condition ? 'not'
    ) as part
    where n.depth <= 20
  ),
  -- What is used below, by name: null where the key is not there.
  part as (
    select
      n.*,
      pg_catalog.jsonb_typeof(n.condition) as kind,
      case when pg_catalog.jsonb_typeof(n.condition) = 'object' then n.condition else '{}' end as keys,
      case when pg_catalog.jsonb_typeof(n.condition -> 'attr') = 'string' then n.condition ->> 'attr' end as attr,
      case when n.condition ? 'op' then n.condition ->> 'op' else 'eq' end as op,
      pg_catalog.jsonb_typeof(n.condition -> 'value') as value_kind
    from node as n
  ),
  problem as (
    select
      p.place,
      p.depth,
      case
        when (select pg_catalog.count(*) from node) > 500 then 'more than 500 conditions'
        when p.depth > 20 then 'nested more than 20 deep'
        when p.kind <> 'object' then pg_catalog.format('expected an object, not %s', p.kind)
        when p.keys ?| array['and', 'or', 'not'] then
          case
            when (select pg_catalog.count(*) from pg_catalog.jsonb_object_keys(p.keys)) > 1
              then 'and, or and not each stand alone in their object'
            when not p.keys ? 'not' and pg_catalog.jsonb_typeof(coalesce(p.keys -> 'and', p.keys -> 'or')) <> 'array'
              or '[]' in (p.keys -> 'and', p.keys -> 'or')
              then 'expected a list of at least one condition'
          end
        when p.keys - array['attr', 'op', 'value', 'negate'] <> '{}' then
          pg_catalog.format(
            'unknown key ''%s''; known: and, or, not, attr, op, value, negate',
            (select pg_catalog.min(k) from pg_catalog.jsonb_object_keys(p.keys - array['attr', 'op', 'value', 'negate']) as k)
          )
        when p.attr is null then '''attr'' must name a column'
        when p.op not in ('eq', 'gt', 'gte', 'lt', 'lte', 'in', 'contains', 'regex', 'changed') or p.op is null then
          pg_catalog.format(
            'unknown op ''%s''; known: eq, gt, gte, lt, lte, in, contains, regex, changed', coalesce(p.op, 'null')
          )
        when pg_catalog.jsonb_typeof(p.keys -> 'negate') <> 'boolean' then '''negate'' must be true or false'
        when p.op = 'changed' and p.keys ? 'value' then '''changed'' takes no value'
        when p.op <> 'changed' and not p.keys ? 'value' then pg_catalog.format('''%s'' needs a value', p.op)
        when p.op in ('gt', 'gte', 'lt', 'lte') and p.value_kind not in ('number', 'string')
          then pg_catalog.format('''%s'' needs a number or a string', p.op)
        when p.op = 'in' and p.value_kind <> 'array' then '''in'' needs a list'
        when p.op = 'regex' and p.value_kind <> 'string' then '''regex'' needs a string'
        when p.attr in ('new', 'old') or '' = any (pg_catalog.string_to_array(p.attr, '.')) or p.attr = ''
          then pg_catalog.format('attr ''%s'' names no column', p.attr)
      end as what
    from part as p
  )
  select pg_catalog.concat_ws(': ', 'conditions', p.place, p.what)
  from problem as p
  where p.what is not null
  order by p.depth, p.place collate "C"
  limit 1
$_$;
ALTER FUNCTION rowhooks.check_conditions(conditions jsonb) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.check_excluded(target regclass, target_id integer, target_keys name[], excluded_columns name[]) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  stray name;
  hook_name text;
begin
  select x.name into stray
  from pg_catalog.unnest(excluded_columns) as x (name)
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = x.name and a.attnum > 0 and not a.attisdropped
  )
  limit 1;
  if found then
    raise exception 'rowhooks cannot keep column % of % out of the log: there is no such column', stray, target
      using errcode = 'undefined_column', hint = 'Name columns as they are stored, without quotes.';
  end if;
  select x.name into stray from pg_catalog.unnest(excluded_columns) as x (name) where x.name = any (target_keys) limit 1;
  if found then
    raise exception 'rowhooks cannot keep column % of % out of the log: it tells the rows apart', stray, target
      using errcode = 'invalid_parameter_value', hint = 'Name other columns that do, or record the table without a key.';
  end if;
  select x.name, h.name into stray, hook_name
  from pg_catalog.unnest(excluded_columns) as x (name)
  join rowhooks.job_hook_table as ht on ht.tracked_table_id = target_id
  join rowhooks.job_hook as h on h.id = ht.job_hook_id
  where rowhooks.asks_for(h.columns, h.conditions, x.name)
  limit 1;
  if found then
    raise exception 'rowhooks cannot keep column % of % out of the log: hook % asks for it', stray, target, hook_name
      using
        errcode = 'object_in_use',
        hint = 'Give the hook other columns or conditions first, or remove it.';
  end if;
end
$$;
ALTER FUNCTION rowhooks.check_excluded(target regclass, target_id integer, target_keys name[], excluded_columns name[]) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.check_hook() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  its_job rowhooks.job;
  problem text;
  enabling constant boolean := tg_op = 'UPDATE' and new.enabled and not old.enabled;
begin
  if not (new.type_create or new.type_update or new.type_delete) then
    raise exception 'You must select at least one type: create, update, and/or delete.'
      using errcode = 'check_violation', constraint = 'job_hook_has_an_action';
  end if;
  -- JSON's null is none.
  new.conditions := nullif(new.conditions, 'null');
  problem := rowhooks.check_conditions(new.conditions);
  if problem is not null then
    raise exception 'job hook %: %', new.name, problem
      using
        errcode = 'check_violation',
        hint = 'For example {"attr": "status", "op": "eq", "value": "active"}, and {"and": [..]}, {"or": [..]}, {"not": ..}.';
  end if;
  select j.* into its_job from rowhooks.job as j where j.id = new.job_id;
  if not found then
    -- The foreign key says so.
    return new;
  end if;
  if (tg_op = 'INSERT' or enabling or new.job_id <> old.job_id) and its_job.kind <> 'hook' then
    raise exception 'job hook % cannot start job %: it is a % receiver', new.name, its_job.class_path, its_job.kind
      using errcode = 'invalid_parameter_value', hint = 'Name a job that is a JobHookReceiver.';
  end if;
  if enabling and not its_job.installed then
    raise exception 'hook % cannot be enabled: its job % is not installed', new.name, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Add its module to rowhooks.toml and restart the daemon.';
  elsif enabling and not its_job.enabled then
    raise exception 'hook % cannot be enabled: its job % is disabled', new.name, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
  end if;
  return new;
end
$$;
ALTER FUNCTION rowhooks.check_hook() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.check_hook_scope() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  its_id constant integer := (pg_catalog.to_jsonb(coalesce(new, old)) ->> tg_argv[0])::integer;
  hook rowhooks.job_hook;
  other record;
  stray text;
  its_tables text;
begin
  -- Two transactions that make the same hook must see each other. Each of them has changed this row already, when its
  -- statement ended (rowhooks.configuration_changed), so that locking it here waits for nobody.
  perform c.version from rowhooks.configuration as c for no key update;
  select h.* into hook from rowhooks.job_hook as h where h.id = its_id;
  if not found then
    return null;
  end if;
  select
    o.name,
    case
      when o.type_create and hook.type_create then 'create'
      when o.type_update and hook.type_update then 'update'
      else 'delete'
    end as action,
    pg_catalog.format('%s.%s', t.schema_name, t.table_name) as table_name,
    (select j.class_path from rowhooks.job as j where j.id = hook.job_id) as class_path
  into other
  from rowhooks.job_hook as o
  join rowhooks.job_hook_table as theirs on theirs.job_hook_id = o.id
  join rowhooks.job_hook_table as ours on ours.job_hook_id = hook.id and ours.tracked_table_id = theirs.tracked_table_id
  join rowhooks.tracked_table as t on t.id = theirs.tracked_table_id
  where o.id <> hook.id
    and o.job_id = hook.job_id
    and (
      (o.type_create and hook.type_create) or (o.type_update and hook.type_update) or (o.type_delete and hook.type_delete)
    )
    and o.conditions is not distinct from hook.conditions
    and o.columns operator(pg_catalog.<@) hook.columns
    and o.columns operator(pg_catalog.@>) hook.columns
  order by o.id, t.id
  limit 1;
  if found then
    raise exception 'A job hook already exists for % on % to job %', other.action, other.table_name, other.class_path
      using
        errcode = 'unique_violation',
        hint = pg_catalog.format('It is hook %s. Give one of them other columns or conditions.', other.name);
  end if;
  -- What the log does not hold could never start it.
  select n.name, pg_catalog.format('%s.%s', t.schema_name, t.table_name)
  into stray, its_tables
  from rowhooks.job_hook_table as x
  join rowhooks.tracked_table as t on t.id = x.tracked_table_id
  cross join lateral pg_catalog.unnest(t.excluded_columns) as n (name)
  where x.job_hook_id = hook.id and rowhooks.asks_for(hook.columns, hook.conditions, n.name)
  limit 1;
  if found then
    raise exception 'job hook %: column % is kept out of the log of %', hook.name, stray, its_tables
      using
        errcode = 'undefined_column',
        hint = 'Name other columns, or track the table with --exclude for fewer.';
  end if;
  -- A table that was dropped has no columns to compare with.
  select pg_catalog.string_agg(pg_catalog.format('%s.%s', t.schema_name, t.table_name), ', ' order by t.id)
  into its_tables
  from rowhooks.job_hook_table as x
  join rowhooks.tracked_table as t on t.id = x.tracked_table_id
  join pg_catalog.pg_class as c on c.oid = t.relation
  where x.job_hook_id = hook.id;
  select n.name into stray
  from pg_catalog.unnest(hook.columns) as n (name)
  where its_tables is not null
    and not exists (
      select from rowhooks.job_hook_table as x
      join rowhooks.tracked_table as t on t.id = x.tracked_table_id
      join pg_catalog.pg_attribute as a on a.attrelid = t.relation
      where x.job_hook_id = hook.id and a.attname = n.name and a.attnum > 0 and not a.attisdropped
    )
  limit 1;
  if found then
    raise exception 'job hook %: there is no column % in %', hook.name, coalesce(stray, 'null'), its_tables
      using errcode = 'undefined_column', hint = 'Name columns of its tables, or none: then any column counts.';
  end if;
  return null;
end
$$;
ALTER FUNCTION rowhooks.check_hook_scope() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.check_recorder() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  is_allowed boolean :=
    new.status in ('STARTED', 'RETRY', 'SUCCESS', 'FAILURE')
    and exists (select from rowhooks.feed as f where f.lease = new.lease);
begin
  if tg_op = 'INSERT' then
    -- What was asked for by hand has its row already.
    is_allowed := is_allowed and new.origin = 'change' and new.original_id is null;
  else
    is_allowed := is_allowed and new.lease = old.lease and old.finished_at is null;
  end if;
  if is_allowed is not true then
    raise exception 'role % may put on record what came of a run of the present leader, and nothing else', current_user
      using
        errcode = 'insufficient_privilege',
        hint = 'Press a button by rowhooks.press; run one again as a member of the daemon''s role.';
  end if;
  return null;
end
$$;
ALTER FUNCTION rowhooks.check_recorder() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.column_as_json(row_name text, column_name name, form text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select pg_catalog.format(
    case form
      when 'plain' then '%1$s.%2$s as %2$s'
      -- concat() uses the type's output function, never a cast; and IS NOT DISTINCT FROM NULL no operator.
      when 'text' then 'case when %1$s.%2$s is not distinct from null then null else pg_catalog.concat(%1$s.%2$s) end as %2$s'
      else
        'case when %1$s.%2$s is not distinct from null then null '
        'else pg_catalog.concat(%1$s.%2$s)::pg_catalog.text[] end as %2$s'
    end,
    row_name, rowhooks.always_quoted(column_name)
  )
$_$;
ALTER FUNCTION rowhooks.column_as_json(row_name text, column_name name, form text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.configuration_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update rowhooks.configuration set version = version + 1;
  perform rowhooks.ring_bell();
  return null;
end
$$;
ALTER FUNCTION rowhooks.configuration_changed() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.configuration_version() RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select c.version + coalesce((select pg_catalog.sum(t.revision) from rowhooks.tracked_table as t), 0)::bigint
  from rowhooks.configuration as c
$$;
ALTER FUNCTION rowhooks.configuration_version() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.default_partition_is_small() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select pg_catalog.pg_relation_size('rowhooks.object_change_default') <= 8 * 1024 * 1024
$$;
ALTER FUNCTION rowhooks.default_partition_is_small() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.drop_partition(target name, before timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  attempts constant integer := 10;
  -- What was kept before, and is empty by now, needs no place again.
  is_kept constant boolean := target ~ '^object_change_kept_';
  largest_neighbour constant integer := 100000;
  sources pg_catalog.name[] := array[target];
  source pg_catalog.name;
  neighbour pg_catalog.name;
  neighbour_start bigint;
  neighbour_changes bigint;
  target_start bigint;
  span_start bigint;
  span_end bigint;
  kept_name pg_catalog.name;
  kept bigint[] := '{}';
  needed bigint[];
  is_locked boolean := false;
begin
  perform rowhooks.must_read_committed();
  if not rowhooks.lock_partitions() then
    return false;
  elsif pg_catalog.to_regclass(pg_catalog.format('rowhooks.%I', target)) is null then
    -- Somebody else has pruned too.
    return true;
  end if;
  select p.lower_id, p.upper_id
  into span_start, span_end
  from rowhooks.prunable_partitions(before) as p
  where p.partition = target;
  if not found then
    raise exception 'rowhooks cannot drop %: it holds more than history, or is no partition of the log', target
      using errcode = 'object_not_in_prerequisite_state', hint = 'See: select * from rowhooks.prunable_partitions(now())';
  end if;
  target_start := span_start;
  if
    not is_kept
    and exists (
      select from rowhooks.job_result as r
      where r.object_change_id >= target_start
        and r.object_change_id < span_end
        and r.status in ('PENDING', 'STARTED', 'RETRY', 'FAILURE')
    )
  then
    if not rowhooks.default_partition_is_small() then
      return false;
    end if;
    select p.name, p.lower_id
    into neighbour, neighbour_start
    from rowhooks.log_partitions() as p
    where p.upper_id = span_start and p.name ~ '^object_change_kept_' and rowhooks.is_history(p.name, before);
    if found then
      execute pg_catalog.format('select count(*) from rowhooks.%I', neighbour) into neighbour_changes;
      if neighbour_changes <= largest_neighbour then
        sources := sources || neighbour;
        span_start := neighbour_start;
      end if;
    end if;
  end if;
  kept_name := pg_catalog.format('object_change_kept_%s', span_end);
  -- The first time nothing is locked; then, until the lock is had.
  for attempt in 0..attempts loop
    if attempt > 0 then
      is_locked := rowhooks.stop_writers(sources);
    end if;
    needed := array(
      select r.object_change_id
      from rowhooks.job_result as r
      where r.object_change_id >= target_start
        and r.object_change_id < span_end
        and r.status in ('PENDING', 'STARTED', 'RETRY', 'FAILURE')
        and not is_kept
      except
      select k.id from pg_catalog.unnest(kept) as k (id)
    );
    if pg_catalog.cardinality(needed) > 0 then
      if pg_catalog.cardinality(kept) = 0 then
        perform rowhooks.make_partition(kept_name, span_start, span_end);
        -- As a whole: what runs need of it does not have to be looked after any more.
        foreach source in array sources[2:] loop
          execute pg_catalog.format('insert into rowhooks.%I select c.* from rowhooks.%I as c', kept_name, source);
        end loop;
      end if;
      execute pg_catalog.format(
        'insert into rowhooks.%I select c.* from pg_catalog.unnest($1) as n (id) join rowhooks.%I as c on c.id = n.id',
        kept_name, target
      )
      using needed;
      kept := kept || needed;
    end if;
    exit when is_locked;
    -- Whoever writes must come through between two tries.
    perform pg_catalog.pg_sleep(case when attempt > 0 then 0.05 else 0 end);
  end loop;
  -- A transaction that was open until now may have left a change that is not dealt with.
  if
    is_locked
    and (select pg_catalog.bool_and(rowhooks.is_history(s.name, before)) from pg_catalog.unnest(sources) as s (name))
  then
    if pg_catalog.cardinality(kept) = 0 then
      -- Nothing was needed any more when it was to be copied: what has stayed of the partition below stays there.
      sources := array[target];
    end if;
    foreach source in array sources loop
      execute pg_catalog.format('alter table rowhooks.object_change detach partition rowhooks.%I', source);
      execute pg_catalog.format('drop table rowhooks.%I', source);
    end loop;
    if pg_catalog.cardinality(kept) > 0 then
      perform rowhooks.attach_partition(kept_name, span_start, span_end);
    end if;
    return true;
  end if;
  if pg_catalog.cardinality(kept) > 0 then
    execute pg_catalog.format('drop table rowhooks.%I', kept_name);
  end if;
  return false;
end
$_$;
ALTER FUNCTION rowhooks.drop_partition(target name, before timestamp with time zone) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.empty_default_partition(width bigint DEFAULT 1000000) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $_$
declare
  attempts constant integer := 10;
  -- Each has as many changes to copy as were written during the one before; it ends if they do not become few.
  most_rounds constant integer := 100;
  little constant integer := 1000;
  -- Of the partitions there are, to find the gap between them that an id is in.
  gap_starts bigint[];
  gap_ends bigint[];
  starts bigint[] := '{}';
  ends bigint[] := '{}';
  span_start bigint;
  span_end bigint;
  -- What it sees has been copied.
  copied pg_catalog.pg_snapshot := '1:1:';
  now_visible pg_catalog.pg_snapshot;
  moved bigint := 0;
  step bigint;
  fresh bigint;
  is_locked boolean := false;
  tried integer := 0;
begin
  perform rowhooks.must_read_committed();
  if
    -- Transaction ids tell what was copied; those of another cluster do not.
    rowhooks.is_restored()
    or not exists (select from rowhooks.object_change_default)
    or not rowhooks.lock_partitions()
  then
    return 0;
  end if;
  select
    coalesce(pg_catalog.array_agg(p.upper_id order by p.upper_id), '{}'),
    coalesce(pg_catalog.array_agg(p.lower_id order by p.lower_id), '{}')
  into gap_starts, gap_ends
  from rowhooks.log_partitions() as p;
  for round in 1..most_rounds loop
    now_visible := pg_catalog.pg_current_snapshot();
    fresh := 0;
    for span_start, span_end in
      select
        greatest(d.base, gap_starts[d.gap]),
        least(d.base + width, gap_ends[d.gap + 1])
      from (
        select distinct c.id / width * width as base, pg_catalog.width_bucket(c.id, gap_starts) as gap
        from rowhooks.object_change_default as c
        where c.transaction_id >= pg_catalog.pg_snapshot_xmin(copied)
          and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, copied)
      ) as d
    loop
      if span_start <> all (starts) then
        perform rowhooks.make_partition(pg_catalog.format('object_change_%s', span_start), span_start, span_end);
        starts := starts || span_start;
        ends := ends || span_end;
      end if;
      -- Some that the snapshot does not see may have been copied with the last step.
      execute pg_catalog.format(
        'insert into rowhooks.%I select c.* from rowhooks.object_change_default as c'
        ' where c.id >= $1 and c.id < $2 and c.transaction_id >= pg_catalog.pg_snapshot_xmin($3)'
        '   and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, $3)'
        ' on conflict (id) do nothing', pg_catalog.format('object_change_%s', span_start)
      )
      using span_start, span_end, copied;
      get diagnostics step = row_count;
      fresh := fresh + step;
    end loop;
    moved := moved + fresh;
    exit when is_locked or tried = attempts;
    copied := now_visible;
    if fresh <= little then
      -- Whoever writes must come through between two tries.
      perform pg_catalog.pg_sleep(case when tried > 0 then 0.05 else 0 end);
      tried := tried + 1;
      is_locked := rowhooks.stop_writers('{}');
    end if;
  end loop;
  if not is_locked then
    foreach span_start in array starts loop
      execute pg_catalog.format('drop table rowhooks.%I', pg_catalog.format('object_change_%s', span_start));
    end loop;
    return 0;
  end if;
  alter table rowhooks.object_change detach partition rowhooks.object_change_default;
  drop table rowhooks.object_change_default;
  create table rowhooks.object_change_default partition of rowhooks.object_change default;
  for step in 1..pg_catalog.cardinality(starts) loop
    perform rowhooks.attach_partition(pg_catalog.format('object_change_%s', starts[step]), starts[step], ends[step]);
  end loop;
  return moved;
end
$_$;
ALTER FUNCTION rowhooks.empty_default_partition(width bigint) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.extend_object_change(width bigint DEFAULT 1000000, ahead integer DEFAULT 2) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
declare
  current_id bigint;
  lower_id bigint;
  partition_name pg_catalog.text;
  made integer := 0;
begin
  -- One at a time: two daemons may start together. ATTACH takes this lock too; no writer waits for it.
  lock table only rowhooks.object_change in share update exclusive mode;
  if not rowhooks.default_partition_is_small() then
    raise exception 'rowhooks cannot make partitions of its log ahead: the default partition is full of changes'
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Empty it: rowhooks prune, or select rowhooks.empty_default_partition()';
  end if;
  select s.last_value into current_id from rowhooks.object_change_id_seq as s;
  for step in 0..ahead loop
    lower_id := (current_id / width + step) * width;
    partition_name := pg_catalog.format('object_change_%s', lower_id);
    continue when pg_catalog.to_regclass(pg_catalog.format('rowhooks.%I', partition_name)) is not null;
    -- Ids of this span that are in the default partition already would make the attachment fail.
    continue when exists (
      select from rowhooks.object_change_default as d where d.id >= lower_id and d.id < lower_id + width
    );
    execute pg_catalog.format(
      'create table rowhooks.%I (like rowhooks.object_change including defaults including constraints)', partition_name
    );
    execute pg_catalog.format(
      'alter table rowhooks.object_change attach partition rowhooks.%I for values from (%s) to (%s)',
      partition_name, lower_id, lower_id + width
    );
    made := made + 1;
  end loop;
  return made;
end
$$;
ALTER FUNCTION rowhooks.extend_object_change(width bigint, ahead integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.find_pressed_row() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  target constant pg_catalog.regclass := coalesce(pg_catalog.pg_partition_root(new.object_table), new.object_table);
  target_name constant pg_catalog.text := target::pg_catalog.text;
  relation pg_catalog.pg_class;
  key_names pg_catalog.text[];
  definitions pg_catalog.text;
  comparisons pg_catalog.text;
  key_of_row pg_catalog.text;
  types_of_key pg_catalog.oid[];
  typeof_key pg_catalog.text;
  repr_of_row pg_catalog.text;
  type_of_repr pg_catalog.oid;
  typeof_repr pg_catalog.text;
  types_found pg_catalog.oid[];
  key pg_catalog.jsonb := new.object_id;
begin
  new.presser := current_user;
  if new.button is null then
    raise exception 'rowhooks: no button was named' using errcode = 'invalid_parameter_value';
  elsif new.object_table is null then
    raise exception 'rowhooks: no table was named to press button % on', new.button
      using errcode = 'invalid_parameter_value';
  elsif new.object_id is null and new.object_text is null then
    raise exception 'rowhooks: no row was named to press button % on', new.button
      using errcode = 'invalid_parameter_value', hint = 'Give the row''s key.';
  elsif new.idempotency_key = '' then
    raise exception 'rowhooks: the idempotency key is empty'
      using errcode = 'invalid_parameter_value', hint = 'Give null where every press counts.';
  elsif pg_catalog.length(new.idempotency_key) > 255 then
    raise exception 'rowhooks: the idempotency key is longer than 255 characters'
      using errcode = 'invalid_parameter_value', hint = 'Give its hash, for example: encode(sha256(...), ''hex'')';
  end if;
  select c.* into relation from pg_catalog.pg_class as c where c.oid = target;
  if not found then
    raise exception 'rowhooks: there is no table %', target using errcode = 'undefined_table';
  end if;
  if not (
    pg_catalog.has_schema_privilege(relation.relnamespace, 'USAGE') and pg_catalog.has_table_privilege(target, 'SELECT')
  ) then
    raise exception 'role % may not press a button on a row of %: it may not read that table', current_user, target
      using
        errcode = 'insufficient_privilege',
        hint = pg_catalog.format('Let its owner run: grant select on %s to %I', target, current_user);
  end if;
  if relation.relkind not in ('r', 'p', 'f') then
    raise exception 'rowhooks: % is no table', target
      using errcode = 'wrong_object_type', hint = 'Press on a row of the table itself.';
  end if;
  -- Compared by the equality of the primary key's own index, whichever schema it is in, and as the type that a domain is
  -- over: nothing becomes a value of the domain, and its check is not asked. That a domain is made its base type, and a
  -- value its text, is no cast that anybody could make.
  select
    pg_catalog.array_agg(a.attname::pg_catalog.text order by k.position),
    pg_catalog.string_agg(
      pg_catalog.format(
        '%I %s',
        a.attname,
        case
          when not b.is_by_text then b.name
          when b.is_array then 'pg_catalog.text[]'
          else 'pg_catalog.text'
        end
      ),
      ', ' order by k.position
    ),
    pg_catalog.string_agg(
      pg_catalog.format(
        case
          when not b.is_by_text then '(t.%1$I)::%4$s operator(%2$I.%3$s) k.%1$I'
          when b.is_array then 'pg_catalog.concat(t.%1$I)::pg_catalog.text[] operator(pg_catalog.=) k.%1$I'
          else 'pg_catalog.concat(t.%1$I) operator(pg_catalog.=) k.%1$I'
        end,
        a.attname, coalesce(n.nspname, 'pg_catalog'), coalesce(o.oprname, '='), b.name
      ),
      ' and ' order by k.position
    ),
    pg_catalog.string_agg(
      rowhooks.column_as_json('t', a.attname, rowhooks.json_form(a.atttypid)), ', ' order by k.position
    ),
    pg_catalog.array_agg(a.atttypid order by k.position),
    pg_catalog.string_agg(pg_catalog.format('pg_catalog.pg_typeof(t.%I)', a.attname), ', ' order by k.position)
  into key_names, definitions, comparisons, key_of_row, types_of_key, typeof_key
  from pg_catalog.pg_index as i
  cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
  join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
  cross join lateral (
    select
      -- Without its modifier: a varchar(3) would cut a longer key off, and find another row.
      pg_catalog.format_type(y.oid, -1) as name,
      y.typcategory = 'A' and y.typelem <> 0 as is_array,
      rowhooks.is_checked_inside(y.oid) as is_by_text
    from pg_catalog.pg_type as y
    where y.oid = rowhooks.base_type(a.atttypid)
  ) as b
  left join pg_catalog.pg_opclass as c
    on c.oid = i.indclass[k.position - 1]
    and c.opcmethod = (select m.oid from pg_catalog.pg_am as m where m.amname = 'btree')
  left join pg_catalog.pg_amop as e
    on e.amopfamily = c.opcfamily and e.amopstrategy = 3 and e.amoplefttype = c.opcintype and e.amoprighttype = c.opcintype
  left join pg_catalog.pg_operator as o on o.oid = e.amopopr
  left join pg_catalog.pg_namespace as n on n.oid = o.oprnamespace
  where i.indrelid = target and i.indisprimary and k.position <= i.indnkeyatts;
  if key_names is null then
    raise exception 'rowhooks: % has no primary key, so that no row of it can be named', target
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let its owner run: alter table %s add primary key (...)', target);
  end if;
  select
    pg_catalog.format(
      '(select pg_catalog.to_jsonb(v.*) from (select %s) as v) operator(pg_catalog.->>) %L',
      rowhooks.column_as_json('t', a.attname, rowhooks.json_form(a.atttypid)), a.attname
    ),
    a.atttypid,
    pg_catalog.format('pg_catalog.pg_typeof(t.%I)', a.attname)
  into repr_of_row, type_of_repr, typeof_repr
  from rowhooks.buttons as b
  join pg_catalog.pg_attribute as a on a.attrelid = b.relation and a.attname = b.repr_column and not a.attisdropped
  where b.relation = target
  limit 1;
  -- Holds the table as it is until the transaction ends. It may have become another since it was looked at, in a
  -- transaction with an older snapshot above all.
  execute pg_catalog.format(
    'select array[%s]::pg_catalog.oid[] from (select) as one left join %s as t on false',
    pg_catalog.concat_ws(', ', typeof_key, typeof_repr), target_name
  )
  into types_found;
  if
    types_found is distinct from pg_catalog.array_remove(types_of_key || type_of_repr, null)
    or pg_catalog.to_regclass(target_name) is distinct from target
  then
    raise exception 'rowhooks: % is being altered', target
      using errcode = 'serialization_failure', hint = 'Press again, in a new transaction.';
  end if;
  begin
    if key is null then
      key := case
        when pg_catalog.cardinality(key_names) = 1 then pg_catalog.to_jsonb(new.object_text)
        else new.object_text::pg_catalog.jsonb
      end;
    end if;
    if pg_catalog.cardinality(key_names) = 1 and pg_catalog.jsonb_typeof(key) <> 'object' then
      key := pg_catalog.jsonb_build_object(key_names[1], key);
    end if;
    if pg_catalog.jsonb_typeof(key) <> 'object' then
      raise exception 'it is no JSON object' using errcode = 'invalid_parameter_value';
    end if;
    if
      (select pg_catalog.count(*) from pg_catalog.jsonb_object_keys(key)) <> pg_catalog.cardinality(key_names)
      or not key operator(pg_catalog.?&) key_names
    then
      raise exception 'it does not name the columns of the key' using errcode = 'invalid_parameter_value';
    end if;
    if exists (select from pg_catalog.jsonb_each(key) as v where pg_catalog.jsonb_typeof(v.value) = 'null') then
      raise exception 'a value is missing' using errcode = 'invalid_parameter_value';
    end if;
    -- By itself, so that the complaint of a type is told from that of a policy.
    execute pg_catalog.format('select from pg_catalog.jsonb_to_record($1) as k (%s)', definitions) using key;
  exception when data_exception or integrity_constraint_violation then
    raise exception '% is no key of %: %', coalesce(new.object_id::pg_catalog.text, new.object_text), target, sqlerrm
      using
        errcode = 'invalid_parameter_value',
        hint = pg_catalog.format('Its key is (%s).', definitions);
  end;
  -- Made into JSON as in the log, so that a row is called the same there and here.
  execute pg_catalog.format(
    'select (select pg_catalog.to_jsonb(v.*) from (select %s) as v), %s '
    'from %s as t join pg_catalog.jsonb_to_record($1) as k (%s) on %s limit 1',
    key_of_row, coalesce(repr_of_row, 'null::pg_catalog.text'), target_name, definitions, comparisons
  )
  into new.object_id, new.object_repr
  using key;
  if new.object_id is null then
    raise exception 'there is no row % in %, or role % may not see it', key, target, new.presser
      using errcode = 'no_data_found', hint = 'See that the key is right, and what row security lets the role see.';
  end if;
  -- As in the log: the key stands for a row that has no better name.
  new.object_repr := coalesce(
    new.object_repr,
    (
      select pg_catalog.string_agg(new.object_id ->> k.name, ', ' order by k.position)
      from pg_catalog.unnest(key_names) with ordinality as k (name, position)
    )
  );
  new.object_table := target;
  return new;
end
$_$;
ALTER FUNCTION rowhooks.find_pressed_row() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.forget_table(target regclass) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  forgotten_id integer;
begin
  perform rowhooks.must_own(target);
  if exists (
    select from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on t.tgfoid = p.oid
    join rowhooks.tracked_table as k on k.relation = target and k.untracked_at is null
    where t.tgrelid = target
      and p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname = 'capture_' || k.id
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
  -- Cascade: the table's owner may have attached the function to another table of his.
  execute pg_catalog.format('drop function rowhooks.%I() cascade', 'capture_' || forgotten_id);
  return true;
end
$$;
ALTER FUNCTION rowhooks.forget_table(target regclass) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.hand_over(target_id integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  capture_role constant pg_catalog.name := (select i.capture_role from rowhooks.installation as i);
begin
  if rowhooks.is_handed_over(target_id) then
    return;
  end if;
  lock table rowhooks.installation in share row exclusive mode;
  execute pg_catalog.format('grant create on schema rowhooks to %I', capture_role);
  execute pg_catalog.format('alter function rowhooks.%I() owner to %I', 'capture_' || target_id, capture_role);
  execute pg_catalog.format('revoke create on schema rowhooks from %I', capture_role);
end
$$;
ALTER FUNCTION rowhooks.hand_over(target_id integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.hook_enabled_since() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if not new.enabled then
    new.enabled_since := null;
  elsif tg_op = 'INSERT' or not old.enabled then
    new.enabled_since := pg_catalog.pg_current_snapshot();
  end if;
  return new;
end
$$;
ALTER FUNCTION rowhooks.hook_enabled_since() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.identity_of(target regclass, wanted text[]) RETURNS name[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  keys pg_catalog.name[];
  stray pg_catalog.text;
begin
  if wanted is null then
    select pg_catalog.array_agg(a.attname order by k.position)
    into keys
    from pg_catalog.pg_index as i
    cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = target and i.indisprimary and k.position <= i.indnkeyatts;
    if keys is null then
      raise exception 'rowhooks cannot track %: it has no primary key', target
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = pg_catalog.format(
            'Add one (alter table %1$s add primary key (...)), name columns that tell its rows apart '
            '(rowhooks track %2$s --identity column,column), or record its changes without a key (--identity full).',
            target, rowhooks.shell_operand(target::pg_catalog.text)
          );
    end if;
    return keys;
  end if;
  select pg_catalog.string_agg(w.name, ', ' order by w.position)
  into stray
  from pg_catalog.unnest(wanted) with ordinality as w (name, position)
  where not exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = w.name and a.attnum > 0 and not a.attisdropped
  );
  if stray is not null then
    raise exception 'rowhooks cannot track %: it has no column %', target, stray
      using errcode = 'undefined_column', hint = 'Name columns as they are stored, without quotes.';
  end if;
  if pg_catalog.cardinality(wanted) > 0
    and not exists (select from pg_catalog.pg_class as c where c.oid = target and c.relkind = 'f')
    and not exists (
      select
      from pg_catalog.pg_index as i
      where i.indrelid = target and i.indisunique and i.indimmediate and i.indisvalid
        and i.indpred is null and i.indexprs is null
        and not exists (
          select
          from pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
          join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
          where k.position <= i.indnkeyatts and not (a.attnotnull and a.attname::text = any (wanted))
        )
    )
  then
    raise exception 'rowhooks cannot track % by %: nothing says that they tell its rows apart',
      target, pg_catalog.array_to_string(wanted, ', ')
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Add a unique index on these columns or some of them, all not null; or use --identity full.';
  end if;
  return wanted;
end
$_$;
ALTER FUNCTION rowhooks.identity_of(target regclass, wanted text[]) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_captured(carrier oid, target_id integer) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select exists (
    select from rowhooks.tracked_table as t
    where t.id = target_id and t.untracked_at is null
      and (t.relation = carrier or t.relation in (select p.relid from pg_catalog.pg_partition_ancestors(carrier) as p))
  )
$$;
ALTER FUNCTION rowhooks.is_captured(carrier oid, target_id integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_checked_inside(type_id oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  with recursive part (id) as (
    select type_id
    union
    select n.id
    from part as p
    join pg_catalog.pg_type as t on t.oid = p.id
    cross join lateral (
      select t.typbasetype
      union all
      select t.typelem
      union all
      select a.atttypid
      from pg_catalog.pg_attribute as a
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      union all
      select r.rngsubtype from pg_catalog.pg_range as r where t.oid in (r.rngtypid, r.rngmultitypid)
    ) as n (id)
    where n.id <> 0
  )
  select exists (
    select
    from part as p
    join pg_catalog.pg_type as t on t.oid = p.id
    left join pg_catalog.pg_class as c on c.oid = t.typrelid
    where not exists (select from pg_catalog.pg_roles as r where r.oid = t.typowner and r.rolsuper)
      -- Or it has an attribute more than the transaction's snapshot shows.
      and (t.typtype = 'd' or pg_catalog.has_column_privilege(c.oid, (c.relnatts + 1)::smallint, 'select') is not null)
  )
$$;
ALTER FUNCTION rowhooks.is_checked_inside(type_id oid) OWNER TO rowhooks_owner;
SET default_tablespace = '';
CREATE TABLE rowhooks.object_change (
    id bigint NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    "time" timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    action rowhooks.object_change_action NOT NULL,
    tracked_table integer NOT NULL,
    object_id jsonb,
    object_repr text,
    prechange jsonb,
    postchange jsonb,
    db_user name DEFAULT SESSION_USER NOT NULL,
    user_name text,
    request_id text,
    change_context text,
    receiver text,
    capture_error text
)
PARTITION BY RANGE (id);
ALTER TABLE rowhooks.object_change OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_done_with(change rowhooks.object_change, before timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select change.time < before
    and pg_catalog.pg_visible_in_snapshot(change.transaction_id, f.snapshot)
    -- After a restore transaction ids mean nothing, until a leader has found the feed's place anew.
    and f.system_identifier = (select s.system_identifier from pg_catalog.pg_control_system() as s)
    and not exists (
      select from rowhooks.job_result as r
      where r.object_change_id = change.id and r.status in ('PENDING', 'STARTED', 'RETRY', 'FAILURE')
    )
  from rowhooks.feed as f
$$;
ALTER FUNCTION rowhooks.is_done_with(change rowhooks.object_change, before timestamp with time zone) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_handed_over(target_id integer) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select exists (
    select
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_roles as r on r.oid = p.proowner
    join rowhooks.installation as i on i.capture_role = r.rolname
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname = 'capture_' || target_id
  )
$$;
ALTER FUNCTION rowhooks.is_handed_over(target_id integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_history(partition name, before timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  dealt_with constant pg_catalog.pg_snapshot := (select f.snapshot from rowhooks.feed as f);
  is_history boolean;
begin
  -- By the indexes: the youngest by its id, and those of transactions that the feed's snapshot does not see.
  execute pg_catalog.format(
    'select coalesce((select c.time < $1 from rowhooks.%1$I as c order by c.id desc limit 1), true) '
    'and not exists ('
    '  select from rowhooks.%1$I as c'
    '  where c.transaction_id >= pg_catalog.pg_snapshot_xmin($2)'
    '    and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, $2)'
    ')', partition
  )
  into is_history
  using before, dealt_with;
  return is_history;
end
$_$;
ALTER FUNCTION rowhooks.is_history(partition name, before timestamp with time zone) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_receiver() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select coalesce(pg_catalog.current_setting('rowhooks.receiver', true), '') <> ''
    and exists (
      select from rowhooks.installation as i
      join pg_catalog.pg_roles as r on r.rolname in (i.daemon_role, i.receiver_role)
      where pg_catalog.pg_has_role(session_user, r.oid, 'member')
    )
$$;
ALTER FUNCTION rowhooks.is_receiver() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_restored() RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select f.system_identifier <> s.system_identifier from rowhooks.feed as f, pg_catalog.pg_control_system() as s
$$;
ALTER FUNCTION rowhooks.is_restored() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.is_up_to_date(target_id integer, target regclass, row_name text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select pg_catalog.concat_ws(
    ' and ',
    pg_catalog.format(
      'pg_catalog.has_column_privilege(%s::pg_catalog.oid, %s::pg_catalog.int2, ''select'') is null',
      target::pg_catalog.oid, (select k.relnatts + 1 from pg_catalog.pg_class as k where k.oid = target)
    ),
    -- Two columns may have exchanged their names: one that is kept out is so by its number.
    (
      select pg_catalog.format(
        '(select pg_catalog.count(*) from pg_catalog.pg_attribute as a where %s) operator(pg_catalog.=) %s',
        pg_catalog.string_agg(
          pg_catalog.format(
            'a.attrelid operator(pg_catalog.=) %s::pg_catalog.oid and a.attnum operator(pg_catalog.=) %s::pg_catalog.int2'
            ' and a.attname operator(pg_catalog.=) %L::pg_catalog.name',
            target::pg_catalog.oid, x.attnum, x.attname
          ),
          ' or '
        ),
        pg_catalog.count(*)
      )
      from rowhooks.tracked_table as t
      join pg_catalog.pg_attribute as x on x.attrelid = target and x.attnum = any (t.excluded_numbers) and not x.attisdropped
      where t.id = target_id
      having pg_catalog.count(*) > 0
    ),
    pg_catalog.string_agg(
      pg_catalog.format(
        'pg_catalog.pg_typeof(%s.%s) operator(pg_catalog.=) %s::pg_catalog.oid',
        row_name, rowhooks.always_quoted(c.name), c.type
      ),
      ' and '
    ) filter (where c.form = 'plain')
  )
  from rowhooks.captured_columns(target_id, target) as c
$$;
ALTER FUNCTION rowhooks.is_up_to_date(target_id integer, target regclass, row_name text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.json_as_recorded(row_data record) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    AS $$
begin
  return pg_catalog.to_jsonb(row_data);
end
$$;
ALTER FUNCTION rowhooks.json_as_recorded(row_data record) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.json_form(type_id oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  found_type pg_catalog.pg_type;
begin
  select t.* into strict found_type from pg_catalog.pg_type as t where t.oid = type_id;
  if found_type.oid < 16384 then
    return 'plain';
  elsif found_type.typtype = 'd' then
    return rowhooks.json_form(found_type.typbasetype);
  elsif found_type.typcategory = 'A' and found_type.typelem <> 0 then
    return case
      when rowhooks.json_form(found_type.typelem) = 'plain' then 'plain'
      when (select e.typtype from pg_catalog.pg_type as e where e.oid = found_type.typelem) = 'c' then 'text'
      else 'texts'
    end;
  elsif not exists (select from pg_catalog.pg_roles as r where r.oid = found_type.typowner and r.rolsuper) then
    return 'text';
  elsif found_type.typtype = 'c' and exists (
    select from pg_catalog.pg_attribute as a
    where a.attrelid = found_type.typrelid and a.attnum > 0 and not a.attisdropped
      and rowhooks.json_form(a.atttypid) <> 'plain'
  ) then
    return 'text';
  end if;
  return 'plain';
end
$$;
ALTER FUNCTION rowhooks.json_form(type_id oid) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.largest_row() RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select 80000000
$$;
ALTER FUNCTION rowhooks.largest_row() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.lock_partitions() RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
begin
  lock table only rowhooks.object_change in share update exclusive mode;
  return true;
exception when lock_not_available then
  return false;
end
$$;
ALTER FUNCTION rowhooks.lock_partitions() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.log_partitions() RETURNS TABLE(name name, lower_id bigint, upper_id bigint, changes bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select c.relname, b.bounds[1]::bigint, b.bounds[2]::bigint, greatest(c.reltuples, 0)::bigint
  from pg_catalog.pg_inherits as i
  join pg_catalog.pg_class as c on c.oid = i.inhrelid
  cross join lateral pg_catalog.regexp_match(
    pg_catalog.pg_get_expr(c.relpartbound, c.oid), $r$FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)$r$
  ) as b (bounds)
  where i.inhparent = 'rowhooks.object_change'::pg_catalog.regclass and b.bounds is not null
$_$;
ALTER FUNCTION rowhooks.log_partitions() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.make_partition(partition name, lower_id bigint, upper_id bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  execute pg_catalog.format(
    'create table rowhooks.%I (like rowhooks.object_change including defaults including constraints including indexes, '
    'constraint object_change_bounds check (id >= %s and id < %s))', partition, lower_id, upper_id
  );
end
$$;
ALTER FUNCTION rowhooks.make_partition(partition name, lower_id bigint, upper_id bigint) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.matches_glob(name text, pattern text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
  select name ~ pg_catalog.concat(
    '^',
    pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
      pg_catalog.regexp_replace(pattern, '([.+^$(){}|\\])', '\\\1', 'g'), '*', '.*'
    ), '?', '.'), '[!', '[^'),
    '$'
  )
$_$;
ALTER FUNCTION rowhooks.matches_glob(name text, pattern text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.may_press(presser name, roles text[], daemon_role name) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select
    coalesce('public' = any (roles), false)
    or exists (
      select from pg_catalog.pg_roles as p
      where p.rolname = presser
        and (
          p.rolsuper
          or exists (
            select from pg_catalog.pg_roles as r
            where (r.rolname = daemon_role or r.rolname::pg_catalog.text = any (roles))
              and pg_catalog.pg_has_role(p.oid, r.oid, 'member')
          )
        )
    )
$$;
ALTER FUNCTION rowhooks.may_press(presser name, roles text[], daemon_role name) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.must_own(target regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
ALTER FUNCTION rowhooks.must_own(target regclass) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.must_read_committed() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'rowhooks cannot exchange partitions of its log in a transaction that is %', pg_catalog.current_setting('transaction_isolation')
      using
        errcode = 'active_sql_transaction',
        hint = 'Begin with: set transaction isolation level read committed';
  end if;
end
$$;
ALTER FUNCTION rowhooks.must_read_committed() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.present_key(target_id integer, row_data jsonb) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select pg_catalog.jsonb_object_agg(k.name, row_data -> k.name::pg_catalog.text)
  from rowhooks.present_key_columns(target_id) as k
$$;
ALTER FUNCTION rowhooks.present_key(target_id integer, row_data jsonb) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.present_key_columns(target_id integer) RETURNS TABLE(name name, number smallint, place bigint)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select a.attname, a.attnum, k.place
  from rowhooks.tracked_table as t
  left join pg_catalog.pg_index as i on t.identity = 'key' and i.indrelid = t.relation and i.indisprimary
  -- The columns behind INCLUDE are not of the key.
  cross join lateral pg_catalog.unnest(
    case when t.identity = 'key' then (i.indkey::smallint[])[0:i.indnkeyatts - 1] else t.key_numbers end
  ) with ordinality as k (attnum, place)
  join pg_catalog.pg_attribute as a on a.attrelid = t.relation and a.attnum = k.attnum and not a.attisdropped
  where t.id = target_id
  order by k.place
$$;
ALTER FUNCTION rowhooks.present_key_columns(target_id integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.press(button text, object_table regclass, object_id jsonb, idempotency_key text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  insert into rowhooks.press (button, object_table, object_id, idempotency_key)
  values (button, object_table, object_id, idempotency_key)
  returning id
$$;
ALTER FUNCTION rowhooks.press(button text, object_table regclass, object_id jsonb, idempotency_key text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.press(button text, object_table regclass, object_id text, idempotency_key text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  insert into rowhooks.press (button, object_table, object_text, idempotency_key)
  values (button, object_table, object_id, idempotency_key)
  returning id
$$;
ALTER FUNCTION rowhooks.press(button text, object_table regclass, object_id text, idempotency_key text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.prunable_partitions(before timestamp with time zone) RETURNS TABLE(partition name, lower_id bigint, upper_id bigint, changes bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  drawn constant bigint := (select s.last_value from rowhooks.object_change_id_seq as s);
  holds_changes boolean;
begin
  if rowhooks.is_restored() then
    return;
  end if;
  for partition, lower_id, upper_id, changes in
    select p.name, p.lower_id, p.upper_id, p.changes
    from rowhooks.log_partitions() as p
    where p.upper_id <= drawn
    order by p.lower_id
  loop
    if partition ~ '^object_change_kept_' then
      execute pg_catalog.format('select exists (select from rowhooks.%I)', partition) into holds_changes;
      continue when holds_changes;
    end if;
    if rowhooks.is_history(partition, before) then
      return next;
    end if;
  end loop;
end
$$;
ALTER FUNCTION rowhooks.prunable_partitions(before timestamp with time zone) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.prune_changes(before timestamp with time zone, batch integer DEFAULT 5000, after_id bigint DEFAULT 0, dry_run boolean DEFAULT false) RETURNS TABLE(deleted bigint, last_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  chosen bigint[];
begin
  if before is null or batch is null or batch < 1 then
    raise exception 'rowhooks.prune_changes: a moment and a batch of 1 or more are needed'
      using errcode = 'invalid_parameter_value', hint = 'For example: now() - interval ''90 days''';
  end if;
  select
    pg_catalog.array_agg(c.id) filter (where rowhooks.is_done_with(c, before)),
    case when pg_catalog.count(*) = batch and pg_catalog.bool_or(c.time < before) then pg_catalog.max(c.id) end
  into chosen, last_id
  from (
    select l.*
    from rowhooks.object_change as l
    where l.id > prune_changes.after_id
    order by l.id
    limit batch
  ) as c;
  deleted := coalesce(pg_catalog.cardinality(chosen), 0);
  if deleted > 0 and not dry_run then
    delete from rowhooks.object_change as c where c.id = any (chosen);
  end if;
  return next;
end
$$;
ALTER FUNCTION rowhooks.prune_changes(before timestamp with time zone, batch integer, after_id bigint, dry_run boolean) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.prune_results(older_than interval, batch integer DEFAULT 5000, after_id bigint DEFAULT 0, include_failed boolean DEFAULT false, dry_run boolean DEFAULT false) RETURNS TABLE(deleted bigint, last_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  before constant pg_catalog.timestamptz := pg_catalog.now() - older_than;
  chosen bigint[];
begin
  if older_than is null or older_than < '0' then
    raise exception 'rowhooks.prune_results: older_than must be zero or more, not %', coalesce(older_than::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'For example: interval ''90 days''';
  elsif batch is null or batch < 1 then
    raise exception 'rowhooks.prune_results: batch must be 1 or more, not %', coalesce(batch::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'Leave it out for 5000.';
  end if;
  select
    pg_catalog.array_agg(l.id) filter (where l.goes),
    case when pg_catalog.count(*) = batch and pg_catalog.bool_or(l.old) then pg_catalog.max(l.id) end
  into chosen, last_id
  from (
    select
      r.id,
      r.created_at < before as old,
      r.finished_at < before
      and (include_failed or r.status <> 'FAILURE')
      and (
        include_failed
        or r.original_id is null
        or not exists (select from rowhooks.job_result as o where o.id = r.original_id and o.status = 'FAILURE')
      )
      and (
        r.origin <> 'change'
        or r.original_id is not null
        or not exists (
          select from rowhooks.object_change as c
          where c.id = r.object_change_id
            and not pg_catalog.pg_visible_in_snapshot(c.transaction_id, f.snapshot)
            and (
              f.target is null
              or c.id > f.after_id
              or not pg_catalog.pg_visible_in_snapshot(c.transaction_id, f.target)
            )
        )
      ) as goes
    from rowhooks.job_result as r
    cross join rowhooks.feed as f
    where r.id > prune_results.after_id
    order by r.id
    limit batch
  ) as l;
  deleted := coalesce(pg_catalog.cardinality(chosen), 0);
  if deleted > 0 and not dry_run then
    delete from rowhooks.job_log_entry as e where e.job_result_id = any (chosen);
    delete from rowhooks.job_result as r where r.id = any (chosen);
  end if;
  return next;
end
$$;
ALTER FUNCTION rowhooks.prune_results(older_than interval, batch integer, after_id bigint, include_failed boolean, dry_run boolean) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.record_press() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  wanted rowhooks.job_button;
  its_job rowhooks.job;
  table_id integer;
  earlier rowhooks.job_result;
begin
  select b.* into wanted from rowhooks.job_button as b where b.name = new.button;
  if not found then
    raise exception 'there is no button %', new.button
      using errcode = 'undefined_object', hint = 'See: select name, object_type from rowhooks.buttons';
  end if;
  if not rowhooks.may_press(new.presser, wanted.roles, (select i.daemon_role from rowhooks.installation as i)) then
    raise exception 'role % may not press button %', new.presser, wanted.name
      using
        errcode = 'insufficient_privilege',
        hint = 'It is for members of the roles that the button names; one is added by: rowhooks buttons edit ... --role ...';
  end if;
  select t.id into table_id from rowhooks.tracked_table as t where t.relation = new.object_table and t.untracked_at is null;
  if not found then
    raise exception 'button % cannot be pressed: table % is not tracked', wanted.name, new.object_table
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let its owner run: select rowhooks.track(%L)', new.object_table::pg_catalog.text);
  end if;
  if not exists (
    select from rowhooks.job_button_table as x where x.job_button_id = wanted.id and x.tracked_table_id = table_id
  ) then
    raise exception 'button % is not on table %', wanted.name, new.object_table
      using errcode = 'object_not_in_prerequisite_state', hint = 'See: select name, object_type from rowhooks.buttons';
  end if;
  select j.* into strict its_job from rowhooks.job as j where j.id = wanted.job_id;
  if not wanted.enabled then
    raise exception 'button % is disabled', wanted.name
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let an administrator run: rowhooks buttons enable %s', rowhooks.shell_operand(wanted.name));
  elsif its_job.kind <> 'button' then
    raise exception 'button % cannot be pressed: its job % is a % receiver', wanted.name, its_job.class_path, its_job.kind
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let an administrator run: rowhooks buttons edit --job ... %s', rowhooks.shell_operand(wanted.name));
  elsif not its_job.installed then
    raise exception 'button % cannot be pressed: its job % is not installed', wanted.name, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Let an administrator add its module to rowhooks.toml and restart the daemon.';
  elsif not its_job.enabled then
    raise exception 'button % cannot be pressed: its job % is disabled', wanted.name, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Let an administrator run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
  end if;
  loop
    -- Waits for another transaction that presses with this key.
    insert into rowhooks.job_result (
      origin, status, job_button_id, button_name, job_id, class_path, tracked_table, object_id, object_repr, action,
      db_user, login, user_name, idempotency_key
    )
    values (
      'press', 'PENDING', wanted.id, wanted.name, its_job.id, its_job.class_path, table_id, new.object_id,
      case when its_job.meta -> 'has_sensitive_variables' is distinct from 'true' then pg_catalog.left(new.object_repr, 200) end,
      'press', new.presser, session_user, nullif(pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255), ''),
      new.idempotency_key
    )
    on conflict (job_button_id, db_user, idempotency_key) where idempotency_key is not null do nothing
    returning id into new.id;
    exit when new.id is not null;
    select r.* into earlier
    from rowhooks.job_result as r
    where r.job_button_id = wanted.id and r.db_user = new.presser and r.idempotency_key = new.idempotency_key;
    -- It may have been deleted since: then it is no earlier press.
    continue when not found;
    if (earlier.tracked_table, earlier.object_id) is distinct from (table_id, new.object_id) then
      raise exception 'idempotency key % has been used for a press of button % on another row', new.idempotency_key, wanted.name
        using errcode = 'unique_violation', hint = 'Give each press a key of its own.';
    end if;
    new.id := earlier.id;
    exit;
  end loop;
  return new;
end
$$;
ALTER FUNCTION rowhooks.record_press() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.refresh_table(target_id integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  entry rowhooks.tracked_table;
  was_stale boolean;
  stale_repr constant pg_catalog.name := (select t.repr_column from rowhooks.tracked_table as t where t.id = target_id);
begin
  select t.id, n.nspname, c.relname, k.names, k.numbers, r.repr_column, e.names, e.numbers
  into
    entry.id, entry.schema_name, entry.table_name, entry.key_columns, entry.key_numbers, entry.repr_column,
    entry.excluded_columns, entry.excluded_numbers
  from rowhooks.tracked_table as t
  join pg_catalog.pg_class as c on c.oid = t.relation
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  cross join lateral (
    select coalesce(pg_catalog.array_agg(p.name order by p.place), t.key_columns) as names,
      coalesce(pg_catalog.array_agg(p.number order by p.place), t.key_numbers) as numbers
    from rowhooks.present_key_columns(t.id) as p
  ) as k
  -- Once kept out, always kept out: a column that was renamed, and one that was made anew under the former name.
  cross join lateral (
    select
      array(
        select x.name from pg_catalog.unnest(t.excluded_columns) as x (name)
        union
        select a.attname from pg_catalog.pg_attribute as a
        where a.attrelid = t.relation and a.attnum = any (t.excluded_numbers) and not a.attisdropped
        order by 1
      ) as names,
      array(
        select a.attnum from pg_catalog.pg_attribute as a
        where a.attrelid = t.relation and not a.attisdropped
          and (a.attnum = any (t.excluded_numbers) or a.attname = any (t.excluded_columns))
        order by 1
      ) as numbers
  ) as e
  cross join lateral (
    select case
      when exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = t.relation and a.attname = stale_repr and not a.attisdropped
      ) then stale_repr
      else rowhooks.representing_column(t.relation, e.names)
    end as repr_column
  ) as r
  where t.id = target_id and t.untracked_at is null;
  update rowhooks.tracked_table as t
  set
    schema_name = entry.schema_name,
    table_name = entry.table_name,
    key_columns = entry.key_columns,
    key_numbers = entry.key_numbers,
    repr_column = entry.repr_column,
    excluded_columns = entry.excluded_columns,
    excluded_numbers = entry.excluded_numbers
  where t.id = entry.id
    and (
      t.schema_name, t.table_name, t.key_columns, t.key_numbers, t.repr_column, t.excluded_columns, t.excluded_numbers
    ) is distinct from (
      entry.schema_name, entry.table_name, entry.key_columns, entry.key_numbers, entry.repr_column,
      entry.excluded_columns, entry.excluded_numbers
    );
  was_stale := found;
  if entry.id is not null then
    -- Which does nothing where it would be the same function.
    perform rowhooks.build_capture(entry.id);
    perform rowhooks.hand_over(entry.id);
  end if;
  return was_stale;
end
$$;
ALTER FUNCTION rowhooks.refresh_table(target_id integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.refresh_tables() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
declare
  target integer;
  stale integer := 0;
begin
  for target in
    update rowhooks.tracked_table as t
    set untracked_at = pg_catalog.now()
    where t.untracked_at is null and not exists (select from pg_catalog.pg_class as c where c.oid = t.relation)
    returning t.id
  loop
    -- Cascade: the table's owner may have attached the function to another table of his.
    execute pg_catalog.format('drop function if exists rowhooks.%I() cascade', 'capture_' || target);
    stale := stale + 1;
  end loop;
  for target in select t.id from rowhooks.tracked_table as t where t.untracked_at is null order by t.id loop
    begin
      if rowhooks.refresh_table(target) then
        stale := stale + 1;
      end if;
    exception when lock_not_available then
      raise log 'rowhooks could not refresh tracked table % now: it is locked', target;
    end;
  end loop;
  return stale;
end
$$;
ALTER FUNCTION rowhooks.refresh_tables() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.register_table(target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean, target_excluded name[]) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
  if target_excluded is not null then
    perform rowhooks.check_excluded(target, entry.id, target_keys, target_excluded);
    entry.excluded_columns := target_excluded;
    select pg_catalog.array_agg(a.attnum)
    into entry.excluded_numbers
    from pg_catalog.pg_attribute as a
    where a.attrelid = target and a.attname = any (target_excluded);
  end if;
  entry.excluded_columns := coalesce(entry.excluded_columns, '{}');
  entry.excluded_numbers := coalesce(entry.excluded_numbers, '{}');
  entry.repr_column := rowhooks.representing_column(target, entry.excluded_columns);
  entry.identity := case when not by_hand then 'key' when pg_catalog.cardinality(target_keys) > 0 then 'columns' else 'full' end;
  if entry.id is null then
    insert into rowhooks.tracked_table (
      relation, schema_name, table_name, identity, key_columns, key_numbers, repr_column, audit_receivers, always,
      excluded_columns, excluded_numbers
    )
    values (
      target, entry.schema_name, entry.table_name, entry.identity, entry.key_columns, entry.key_numbers,
      entry.repr_column, target_audit, target_always, entry.excluded_columns, entry.excluded_numbers
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
      repr_column = entry.repr_column,
      audit_receivers = target_audit,
      always = target_always,
      excluded_columns = entry.excluded_columns,
      excluded_numbers = entry.excluded_numbers
    where id = entry.id;
  end if;
  return entry.id;
end
$$;
ALTER FUNCTION rowhooks.register_table(target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean, target_excluded name[]) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.representing_column(target regclass, excluded_columns name[]) RETURNS name
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select a.attname
  from pg_catalog.unnest(
    array['display_name', 'display', 'name', 'label', 'title', 'hostname', 'username', 'slug', 'code', 'serial', 'email']
  ) with ordinality as c (name, position)
  join pg_catalog.pg_attribute as a on a.attrelid = target and a.attname = c.name and not a.attisdropped
  where a.attname <> all (excluded_columns)
  order by c.position
  limit 1
$$;
ALTER FUNCTION rowhooks.representing_column(target regclass, excluded_columns name[]) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.resume_after_restore(visible_id bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  stored rowhooks.feed;
  before_us pg_catalog.pg_snapshot;
  below_id bigint;
  waiting bigint;
begin
  if pg_catalog.pg_current_xact_id_if_assigned() is not null then
    raise exception 'rowhooks.resume_after_restore must be called in a transaction that has written nothing'
      using errcode = 'active_sql_transaction', hint = 'Commit or roll back, and call it again.';
  end if;
  -- Before the first write, so that this snapshot does not see our own transaction.
  before_us := pg_catalog.pg_current_snapshot();
  select f.* into strict stored from rowhooks.feed as f for update;
  if stored.system_identifier = (select c.system_identifier from pg_catalog.pg_control_system() as c) then
    return 0;
  end if;
  -- One statement again, so that what commits meanwhile is either judged here or left alone. What had been dealt with
  -- must not be taken for a transaction that this cluster has yet to run.
  update rowhooks.object_change as c
  set transaction_id = case when p.waits then pg_catalog.pg_current_xact_id() else '3' end
  from (
    select
      o.id,
      o.id > stored.newest_id
      or (
        not pg_catalog.pg_visible_in_snapshot(o.transaction_id, stored.snapshot)
        and (
          stored.target is null
          or o.id > stored.after_id
          or not pg_catalog.pg_visible_in_snapshot(o.transaction_id, stored.target)
        )
      ) as waits
    from rowhooks.object_change as o
    where o.transaction_id <> '3'
  ) as p
  where c.id = p.id and (p.waits or not pg_catalog.pg_visible_in_snapshot(c.transaction_id, before_us));
  select pg_catalog.count(*), least(pg_catalog.min(c.id) - 1, visible_id)
  into waiting, below_id
  from rowhooks.object_change as c
  where c.transaction_id = pg_catalog.pg_current_xact_id();
  -- Nor must it wait again after another restore, which goes by the ids above newest_id.
  update rowhooks.object_change as c
  set transaction_id = '3'
  where c.id > below_id and c.transaction_id <> '3' and pg_catalog.pg_visible_in_snapshot(c.transaction_id, before_us);
  -- Nothing of this cluster had begun when these were enabled.
  update rowhooks.job set enabled_since = null where enabled_since is not null;
  update rowhooks.job_hook set enabled_since = null where enabled_since is not null;
  update rowhooks.feed
  set
    snapshot = before_us, target = null, after_id = 0, floor_id = below_id, newest_id = below_id,
    system_identifier = (select c.system_identifier from pg_catalog.pg_control_system() as c);
  return waiting;
end
$$;
ALTER FUNCTION rowhooks.resume_after_restore(visible_id bigint) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.retry(result_id bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  original rowhooks.job_result;
  first_id bigint;
  hook rowhooks.job_hook;
  button rowhooks.job_button;
  its_job rowhooks.job;
  other_id bigint;
  new_id bigint;
begin
  select r.* into original from rowhooks.job_result as r where r.id = result_id;
  if not found then
    raise exception 'there is no result %', result_id
      using errcode = 'no_data_found', hint = 'See: rowhooks results list';
  elsif original.finished_at is null then
    raise exception 'run % has not finished yet: it is %', result_id, original.status
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('To give it up: rowhooks results revoke %s', result_id);
  end if;
  if original.origin = 'press' then
    select b.* into button from rowhooks.job_button as b where b.id = original.job_button_id;
    if not found then
      raise exception 'run % cannot be run again: its button % is gone', result_id, original.button_name
        using errcode = 'object_not_in_prerequisite_state', hint = 'Press another: rowhooks buttons list';
    end if;
  else
    select h.* into hook from rowhooks.job_hook as h where h.id = original.job_hook_id;
    if not found then
      raise exception 'run % cannot be run again: its hook % is gone', result_id, original.hook_name
        using
          errcode = 'object_not_in_prerequisite_state',
          hint = 'Give its changes to another hook: rowhooks replay --hook HOOK --since TIME';
    elsif not exists (select from rowhooks.object_change as c where c.id = original.object_change_id) then
      raise exception 'run % cannot be run again: its change % is no longer in the log', result_id, original.object_change_id
        using errcode = 'object_not_in_prerequisite_state', hint = 'Change the row anew: that starts its hooks.';
    end if;
  end if;
  -- What will run is the hook's or button's job of today, which need not be the one of then.
  select j.* into strict its_job from rowhooks.job as j where j.id = coalesce(hook.job_id, button.job_id);
  if not its_job.installed then
    raise exception 'run % cannot be run again: its job % is not installed', result_id, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = 'Add its module to rowhooks.toml and restart the daemon.';
  elsif not its_job.enabled then
    raise exception 'run % cannot be run again: its job % is disabled', result_id, its_job.class_path
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('Run: rowhooks jobs enable %s', rowhooks.shell_operand(its_job.class_path));
  end if;
  first_id := coalesce(original.original_id, original.id);
  loop
    -- Waits for another transaction that retries the same run.
    insert into rowhooks.job_result (
      origin, original_id, object_change_id, job_hook_id, hook_name, job_button_id, button_name, job_id, class_path,
      tracked_table, object_id, object_repr, action, user_name, db_user, login, status
    )
    values (
      original.origin, first_id, original.object_change_id, hook.id, hook.name, button.id, button.name, its_job.id,
      its_job.class_path, original.tracked_table, original.object_id, original.object_repr, original.action,
      original.user_name, original.db_user, original.login, 'PENDING'
    )
    on conflict (original_id) where original_id is not null and status in ('PENDING', 'STARTED', 'RETRY') do nothing
    returning id into new_id;
    exit when new_id is not null;
    select r.id
    into other_id
    from rowhooks.job_result as r
    where r.original_id = first_id and r.status in ('PENDING', 'STARTED', 'RETRY');
    -- It may have finished since: then it is in nobody's way.
    continue when not found;
    raise exception 'run % is being run again already, as run %', result_id, other_id
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('See: rowhooks results show %s', other_id);
  end loop;
  return new_id;
end
$$;
ALTER FUNCTION rowhooks.retry(result_id bigint) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.revoke(result_id bigint) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  former pg_catalog.text;
begin
  select r.status into former from rowhooks.job_result as r where r.id = result_id for update;
  if not found then
    raise exception 'there is no result %', result_id
      using errcode = 'no_data_found', hint = 'See: rowhooks results list';
  elsif former in ('SUCCESS', 'FAILURE', 'REVOKED') then
    raise exception 'run % cannot be revoked: it has finished with %', result_id, former
      using
        errcode = 'object_not_in_prerequisite_state',
        hint = pg_catalog.format('See: rowhooks results show %s', result_id);
  end if;
  update rowhooks.job_result set status = 'REVOKED', finished_at = pg_catalog.clock_timestamp() where id = result_id;
  -- The leader may be asleep while the run waits for its retry.
  perform rowhooks.ring_bell();
  return former;
end
$$;
ALTER FUNCTION rowhooks.revoke(result_id bigint) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.ring_bell() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if
    (select i.notify from rowhooks.installation as i)
    and not pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended('rowhooks.bell', 0))
    and pg_catalog.pg_notification_queue_usage() < 0.5
  then
    perform pg_catalog.pg_notify('rowhooks', '');
  end if;
end
$$;
ALTER FUNCTION rowhooks.ring_bell() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.row_as_json(target_id integer, target regclass, row_name text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select case
    when pg_catalog.bool_and(c.form = 'plain') and pg_catalog.count(*) = (
      select pg_catalog.count(*) from pg_catalog.pg_attribute as a
      where a.attrelid = target and a.attnum > 0 and not a.attisdropped
    )
      then pg_catalog.format('case when is_foreign then rowhooks.json_as_recorded(%1$s) else pg_catalog.to_jsonb(%1$s) end', row_name)
    when pg_catalog.count(*) = 0 then '''{}''::pg_catalog.jsonb'
    else pg_catalog.format(
      '(select pg_catalog.to_jsonb(listed.*) from (select %s) as listed)',
      pg_catalog.string_agg(rowhooks.column_as_json(row_name, c.name, c.form), ', ')
    )
  end
  from rowhooks.captured_columns(target_id, target) as c
$_$;
ALTER FUNCTION rowhooks.row_as_json(target_id integer, target regclass, row_name text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.row_by_columns(target_id integer, carrier oid, row_data record, OUT data jsonb, OUT problem text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    AS $_$
declare
  part record;
  one jsonb;
begin
  data := '{}';
  for part in select c.name, c.form from rowhooks.captured_columns(target_id, carrier) as c loop
    begin
      execute pg_catalog.format(
        'select pg_catalog.to_jsonb(v.*) from (select %s) as v', rowhooks.column_as_json('($1)', part.name, part.form)
      )
      into one
      using row_data;
      if pg_catalog.pg_column_size(data) + pg_catalog.pg_column_size(one) > rowhooks.largest_row() then
        raise exception 'too large to be recorded (% bytes)', pg_catalog.pg_column_size(one)
          using errcode = 'program_limit_exceeded';
      end if;
      data := data || one;
    exception when others then
      problem := pg_catalog.left(pg_catalog.concat_ws('; ', problem, pg_catalog.format('%s: %s', part.name, sqlerrm)), 1000);
    end;
  end loop;
  if problem is not null and data = '{}' then
    data := null;
  end if;
exception when others then
  data := null;
  problem := pg_catalog.left(sqlerrm, 1000);
end
$_$;
ALTER FUNCTION rowhooks.row_by_columns(target_id integer, carrier oid, row_data record, OUT data jsonb, OUT problem text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.run_asked_for() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform rowhooks.ring_bell();
  return null;
end
$$;
ALTER FUNCTION rowhooks.run_asked_for() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.set_notify(wanted boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update rowhooks.installation set notify = wanted where notify <> wanted;
  if found then
    update rowhooks.configuration set version = version + 1;
    -- In either case, so that a daemon that waits for the bell hears of it.
    if pg_catalog.pg_notification_queue_usage() < 0.5 then
      perform pg_catalog.pg_notify('rowhooks', '');
    end if;
  end if;
  perform rowhooks.build_capture(t.id), rowhooks.hand_over(t.id)
  from rowhooks.tracked_table as t
  join pg_catalog.pg_class as c on c.oid = t.relation
  where t.untracked_at is null;
end
$$;
ALTER FUNCTION rowhooks.set_notify(wanted boolean) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.settings_of_rows(target_id integer, target regclass) RETURNS TABLE(name text, value text, is_same text)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select s.name, s.value, pg_catalog.format('pg_catalog.current_setting(%L) %s', s.name, s.comparison)
  from (
    values
    ('TimeZone', 'UTC', 'operator(pg_catalog.=) ''UTC'''),
    ('DateStyle', 'ISO', 'operator(pg_catalog.~) ''^ISO'''),
    ('IntervalStyle', 'postgres', 'operator(pg_catalog.=) ''postgres'''),
    ('bytea_output', 'hex', 'operator(pg_catalog.=) ''hex'''),
    ('extra_float_digits', '1', 'operator(pg_catalog.~) ''^[1-9]''')
  ) as s (name, value, comparison)
  where exists (
    select from rowhooks.captured_columns(target_id, target) as c where s.name = any (rowhooks.settings_of_type(c.type))
  )
$$;
ALTER FUNCTION rowhooks.settings_of_rows(target_id integer, target regclass) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.settings_of_type(type_id oid) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  found_type pg_catalog.pg_type;
  subtype oid;
  everything constant pg_catalog.text[] := array['TimeZone', 'DateStyle', 'IntervalStyle', 'bytea_output', 'extra_float_digits'];
begin
  select t.* into strict found_type from pg_catalog.pg_type as t where t.oid = type_id;
  if found_type.typtype = 'd' then
    return rowhooks.settings_of_type(found_type.typbasetype);
  elsif found_type.typcategory = 'A' and found_type.typelem <> 0 then
    return rowhooks.settings_of_type(found_type.typelem);
  elsif found_type.typtype = 'e' then
    return '{}';
  elsif found_type.typtype in ('r', 'm') then
    select coalesce(r.rngsubtype, 0) into subtype
    from pg_catalog.pg_range as r where r.rngtypid = type_id or pg_catalog.to_jsonb(r) ->> 'rngmultitypid' = type_id::pg_catalog.text;
    -- A range is written as text, its bounds as their type's text.
    return case
      when subtype in (20, 23, 1700) then '{}'::pg_catalog.text[] else everything
    end;
  elsif found_type.oid >= 16384 or found_type.typtype not in ('b', 'p') then
    return everything;
  elsif found_type.typname in ('float4', 'float8', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle') then
    return array['extra_float_digits'];
  elsif found_type.typname = 'timestamptz' then
    return array['TimeZone'];
  elsif found_type.typname = 'interval' then
    return array['IntervalStyle'];
  elsif found_type.typname = 'bytea' then
    return array['bytea_output'];
  end if;
  return '{}';
end
$$;
ALTER FUNCTION rowhooks.settings_of_type(type_id oid) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.shell_operand(name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select pg_catalog.concat(
    case when name like '-%' then '-- ' end,
    case
      when name ~ '^[A-Za-z0-9@%+=:,./_-]+$' then name
      else pg_catalog.concat('''', pg_catalog.replace(name, '''', '''"''"'''), '''')
    end
  )
$_$;
ALTER FUNCTION rowhooks.shell_operand(name text) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.source_of_bell() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case
    when i.notify then
      'if not pg_catalog.pg_try_advisory_xact_lock_shared(pg_catalog.hashtextextended(''rowhooks.bell'', 0)) then '
      'if pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) 0.5 then '
      'perform pg_catalog.pg_notify(''rowhooks'', ''''); '
      'end if; '
      'end if;'
    else ''
  end
  from rowhooks.installation as i
$$;
ALTER FUNCTION rowhooks.source_of_bell() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.source_of_capture(target_id integer) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  tracked rowhooks.tracked_table;
  kind pg_catalog."char";
  key_of_row pg_catalog.text;
  repr_of_key pg_catalog.text;
  key_is_missing pg_catalog.text;
  by_column pg_catalog.text := '';
  identity_of_row pg_catalog.text;
  repr_of_row pg_catalog.text;
  identify pg_catalog.text;
  draw_transaction_id pg_catalog.text := '';
  skip_what_is_kept_out pg_catalog.text := '';
  see_settings pg_catalog.text;
begin
  select t.* into strict tracked from rowhooks.tracked_table as t where t.id = target_id;
  select c.relkind into kind from pg_catalog.pg_class as c where c.oid = tracked.relation;
  -- Names come in as literals (%L) or quoted, never bare: a column may be called anything.
  select
    pg_catalog.string_agg(pg_catalog.format('%1$L, row_data operator(pg_catalog.->) %1$L', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(row_data operator(pg_catalog.->>) %L)', k.name), ', ' order by k.position),
    pg_catalog.string_agg(pg_catalog.format('(row_data operator(pg_catalog.->) %L) is null', k.name), ' or ' order by k.position)
  into key_of_row, repr_of_key, key_is_missing
  from pg_catalog.unnest(tracked.key_columns) with ordinality as k (name, position);
  if tracked.repr_column is not null then
    by_column := pg_catalog.format('row_data operator(pg_catalog.->>) %L, ', tracked.repr_column);
  end if;
  if tracked.identity = 'full' then
    key_is_missing := 'false';
    identity_of_row := 'null';
    -- Written out only where that is not long.
    repr_of_row := pg_catalog.format(
      'pg_catalog.left(coalesce(%scase when pg_catalog.pg_column_size(row_data) operator(pg_catalog.<) 100000 '
      'then row_data::pg_catalog.text end), 200)', by_column
    );
    identify := pg_catalog.format('representation := %s;', repr_of_row);
  else
    identity_of_row := pg_catalog.format('pg_catalog.jsonb_build_object(%s)', key_of_row);
    repr_of_row := pg_catalog.format(
      case
        when pg_catalog.cardinality(tracked.key_columns) = 1 then 'pg_catalog.left(coalesce(%s%s), 200)'
        else 'pg_catalog.left(coalesce(%spg_catalog.concat_ws('', '', %s)), 200)'
      end,
      by_column, repr_of_key
    );
    identify := pg_catalog.format(
      $identify$
    if %1$s then
      identity := rowhooks.present_key(%2$s, row_data);
      representation := pg_catalog.left(coalesce(%5$spg_catalog.concat_ws(
        ', ', variadic array(select v.value from pg_catalog.jsonb_each_text(identity) as v)
      )), 200);
    else
      identity := %3$s;
      representation := %4$s;
    end if;
      $identify$,
      key_is_missing, tracked.id, identity_of_row, repr_of_row, by_column
    );
  end if;
  -- The feed relies on a transaction's id being older than those of its changes. Whoever writes a row of our own has one.
  if kind = 'f' then
    draw_transaction_id := 'perform pg_catalog.pg_current_xact_id();';
  end if;
  if pg_catalog.cardinality(tracked.excluded_numbers) > 0 then
    -- Compared as bytes, as the trigger compares whole rows.
    select pg_catalog.format(
      $skip$
  if not is_by_columns and tg_op operator(pg_catalog.=) 'UPDATE' then
    if pg_catalog.record_image_eq(row(%s), row(%s)) then
      return null;
    end if;
  end if;
      $skip$,
      pg_catalog.string_agg('old.' || rowhooks.always_quoted(c.name), ', '),
      pg_catalog.string_agg('new.' || rowhooks.always_quoted(c.name), ', ')
    )
    into skip_what_is_kept_out
    from rowhooks.captured_columns(tracked.id, tracked.relation) as c;
  end if;
  -- The log does not say the same value in two ways because two sessions have other settings.
  select pg_catalog.concat(
    'is_foreign := not (', pg_catalog.string_agg(r.is_same, ' and '), ');',
    case when rowhooks.row_as_json(tracked.id, tracked.relation, 'new') like '%listed.*%'
      then ' is_by_columns := is_by_columns or is_foreign;' end
  )
  into see_settings
  from rowhooks.settings_of_rows(tracked.id, tracked.relation) as r
  having pg_catalog.count(*) > 0;
  return pg_catalog.format(
    $body$
declare
  run pg_catalog.text;
  claimed_user pg_catalog.text;
  request pg_catalog.text;
  context pg_catalog.text;
  -- The row before an update, and the row after it; of a create or delete its only row.
  before_data pg_catalog.jsonb;
  row_data pg_catalog.jsonb;
  identity pg_catalog.jsonb;
  representation pg_catalog.text;
  problem pg_catalog.text;
  other_problem pg_catalog.text;
  is_marked pg_catalog.bool := false;
  is_by_columns pg_catalog.bool := false;
  is_foreign pg_catalog.bool := false;
begin
  -- Nothing but the triggers that rowhooks.track makes records anything.
  if tg_when operator(pg_catalog.<>) 'AFTER' then
    return case when tg_op operator(pg_catalog.=) 'DELETE' then old else new end;
  elsif tg_level operator(pg_catalog.<>) 'ROW' and tg_op operator(pg_catalog.<>) 'TRUNCATE' then
    return null;
  end if;
  if %12$s then
    if not rowhooks.is_captured(tg_relid, %2$s) then
      return null;
    end if;
    is_by_columns := true;
  end if;
  %9$s
  -- Asked in one expression, because hardly anybody sets them. A variable that SET LOCAL left behind is an empty string.
  if
    pg_catalog.current_setting('rowhooks.receiver', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.user', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.request_id', true) operator(pg_catalog.<>) ''
    or pg_catalog.current_setting('rowhooks.context', true) operator(pg_catalog.<>) ''
  then
    is_marked := true;
    run := pg_catalog.current_setting('rowhooks.receiver', true);
    claimed_user := pg_catalog.left(pg_catalog.current_setting('rowhooks.user', true), 255);
    request := pg_catalog.left(pg_catalog.current_setting('rowhooks.request_id', true), 255);
    context := pg_catalog.left(pg_catalog.current_setting('rowhooks.context', true), 1000);
    if claimed_user operator(pg_catalog.=) '' then claimed_user := null; end if;
    if request operator(pg_catalog.=) '' then request := null; end if;
    if context operator(pg_catalog.=) '' then context := null; end if;
    if run operator(pg_catalog.=) '' then
      run := null;
    elsif run is not null then
      if not rowhooks.is_receiver() then
        run := null;
      elsif %1$L then
        context := 'job-hook';
      else
        return null;
      end if;
    end if;
  end if;
  if tg_op operator(pg_catalog.=) 'TRUNCATE' then
    insert into rowhooks.object_change (action, tracked_table, user_name, request_id, change_context, receiver)
    values ('truncate', %2$s, claimed_user, request, context, run);
    %8$s
    return null;
  end if;
  %15$s
  if not is_by_columns then
    begin
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        if %4$s then
          before_data := %7$s;
          row_data := %6$s;
        end if;
      elsif tg_op operator(pg_catalog.=) 'INSERT' then
        if %4$s then
          row_data := %6$s;
        end if;
      elsif %5$s then
        row_data := %7$s;
      end if;
      is_by_columns := coalesce(
        pg_catalog.pg_column_size(row_data)
        operator(pg_catalog.+) coalesce(pg_catalog.pg_column_size(before_data), 0) operator(pg_catalog.>) %14$s,
        true
      );
    exception when others then
      is_by_columns := true;
    end;
  end if;
  if is_by_columns then
    is_marked := true;
    if tg_op operator(pg_catalog.=) 'DELETE' then
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(%2$s, tg_relid, old) as r;
    else
      select r.data, r.problem into row_data, problem from rowhooks.row_by_columns(%2$s, tg_relid, new) as r;
      if tg_op operator(pg_catalog.=) 'UPDATE' then
        select r.data, r.problem into before_data, other_problem from rowhooks.row_by_columns(%2$s, tg_relid, old) as r;
        problem := coalesce(problem, other_problem);
      end if;
    end if;
  end if;
  %13$s
  -- An INSERT is set up anew for each row, column by column: those that are empty are left out.
  if is_marked or %10$s then
    %3$s
    insert into rowhooks.object_change (
      action, tracked_table, object_id, object_repr, prechange, postchange,
      user_name, request_id, change_context, receiver, capture_error
    )
    values (
      (
        case
          when tg_op operator(pg_catalog.=) 'UPDATE' then 'update'
          when tg_op operator(pg_catalog.=) 'INSERT' then 'create'
          else 'delete'
        end
      )::rowhooks.object_change_action,
      %2$s, identity, representation,
      case when tg_op operator(pg_catalog.=) 'DELETE' then row_data else before_data end,
      case when tg_op operator(pg_catalog.<>) 'DELETE' then row_data end,
      claimed_user, request, context, run, problem
    );
  elsif tg_op operator(pg_catalog.=) 'UPDATE' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange, postchange)
    values ('update', %2$s, %11$s, before_data, row_data);
  elsif tg_op operator(pg_catalog.=) 'INSERT' then
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, postchange)
    values ('create', %2$s, %11$s, row_data);
  else
    insert into rowhooks.object_change (action, tracked_table, object_id, object_repr, prechange)
    values ('delete', %2$s, %11$s, row_data);
  end if;
  %8$s
  return null;
end
$body$,
    tracked.audit_receivers::pg_catalog.text, tracked.id, identify,
    rowhooks.is_up_to_date(tracked.id, tracked.relation, 'new'), rowhooks.is_up_to_date(tracked.id, tracked.relation, 'old'),
    rowhooks.row_as_json(tracked.id, tracked.relation, 'new'), rowhooks.row_as_json(tracked.id, tracked.relation, 'old'),
    rowhooks.source_of_bell(), draw_transaction_id, key_is_missing,
    pg_catalog.concat(identity_of_row, ', ', repr_of_row),
    pg_catalog.format(
      case
        when kind = 'p' then
          'coalesce(pg_catalog.pg_partition_root(tg_relid)::pg_catalog.oid, tg_relid) operator(pg_catalog.<>) %s::pg_catalog.oid'
        else 'tg_relid operator(pg_catalog.<>) %s::pg_catalog.oid'
      end,
      tracked.relation::pg_catalog.oid
    ),
    coalesce(skip_what_is_kept_out, ''), rowhooks.largest_row(), coalesce(see_settings, '')
  );
end
$_$;
ALTER FUNCTION rowhooks.source_of_capture(target_id integer) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.stop_writers(partitions name[]) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
declare
  partition pg_catalog.name;
begin
  lock table only rowhooks.object_change in access exclusive mode;
  -- Writers stand still by now: no second wait comes on top.
  foreach partition in array partitions || 'object_change_default'::pg_catalog.name loop
    execute pg_catalog.format('lock table only rowhooks.%I in access exclusive mode nowait', partition);
  end loop;
  return true;
exception when lock_not_available then
  return false;
end
$$;
ALTER FUNCTION rowhooks.stop_writers(partitions name[]) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.track(target regclass, audit_receivers boolean DEFAULT false, wait interval DEFAULT '00:00:03'::interval, identity text[] DEFAULT NULL::text[], always boolean DEFAULT false, exclude text[] DEFAULT NULL::text[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  relation pg_catalog.pg_class;
  keys pg_catalog.name[];
  tracked_id integer;
  function_name pg_catalog.text;
  trigger_name pg_catalog.text;
  carrier pg_catalog.regclass;
  former_timeout constant pg_catalog.text := pg_catalog.current_setting('lock_timeout');
begin
  if target is null then
    raise exception 'rowhooks: no table was named' using errcode = 'invalid_parameter_value';
  end if;
  select c.* into relation from pg_catalog.pg_class as c where c.oid = target;
  if not found then
    raise exception 'rowhooks cannot track %: there is no such table', target
      using errcode = 'undefined_table', hint = 'It was dropped in the meantime, or its oid is wrong.';
  end if;
  if relation.relkind in ('v', 'm') then
    raise exception 'rowhooks cannot track %: it is a view', target
      using errcode = 'wrong_object_type', hint = 'Track the tables that the view reads.';
  elsif relation.relkind not in ('r', 'p', 'f') then
    raise exception 'rowhooks cannot track %: it is not a table', target
      using errcode = 'wrong_object_type', hint = 'Name a table.';
  elsif relation.relpersistence = 't' then
    raise exception 'rowhooks cannot track %: it is a temporary table', target
      using errcode = 'wrong_object_type', hint = 'The daemon could not see its rows; use a permanent table.';
  elsif relation.relnamespace in (
    'rowhooks'::pg_catalog.regnamespace,
    'pg_catalog'::pg_catalog.regnamespace,
    'information_schema'::pg_catalog.regnamespace
  ) then
    raise exception 'rowhooks cannot track %: it belongs to rowhooks or to PostgreSQL itself', target
      using errcode = 'wrong_object_type', hint = 'Name a table of your own.';
  elsif relation.relispartition then
    raise exception 'rowhooks cannot track %: it is a partition', target
      using
        errcode = 'wrong_object_type',
        hint = pg_catalog.format(
          'Track the table it belongs to: select rowhooks.track(%L)', pg_catalog.pg_partition_root(target)::pg_catalog.text
        );
  end if;
  keys := rowhooks.identity_of(target, identity);
  -- A lock_timeout of 0 would wait for ever.
  perform pg_catalog.set_config('lock_timeout', greatest((pg_catalog.date_part('epoch', wait) * 1000)::bigint, 1)::pg_catalog.text, true);
  begin
    -- CREATE TRIGGER takes this lock; it is taken first, so that nothing is written before it is had. LOCK does not
    -- know foreign tables.
    if relation.relkind <> 'f' then
      execute pg_catalog.format('lock table %s in share row exclusive mode', target);
    end if;
  exception when lock_not_available then
    raise exception 'rowhooks did not get the lock on % within %', target, wait
      using
        errcode = 'lock_not_available',
        hint = 'A transaction that wrote to it is still open (see pg_stat_activity); try again, or wait longer.';
  end;
  tracked_id := rowhooks.register_table(target, keys, audit_receivers, identity is not null, always, exclude);
  function_name := rowhooks.build_capture(tracked_id);
  -- A superuser needs no leave to create, and so waits for nobody: the event trigger tracks tables in long transactions.
  if exists (select from pg_catalog.pg_roles as r where r.rolname = current_user and r.rolsuper) then
    if not rowhooks.is_handed_over(tracked_id) then
      execute pg_catalog.format(
        'alter function rowhooks.%I() owner to %I', function_name, (select i.capture_role from rowhooks.installation as i)
      );
    end if;
  else
    perform rowhooks.hand_over(tracked_id);
  end if;
  -- Triggers fire in the order of their names: "!" puts these before the user's and before cascades, which keeps
  -- the order of the log the order of the changes. The number lets a tracked table be attached to a tracked partitioned
  -- one, whose triggers PostgreSQL copies to it.
  execute pg_catalog.format(
    'create or replace trigger %I after insert or delete on %s for each row execute function rowhooks.%I()',
    '!rowhooks_row_' || tracked_id, target, function_name
  );
  -- Compared as bytes: that knows every type, also those without an equality (json, point).
  execute pg_catalog.format(
    'create or replace trigger %I after update on %s '
    'for each row when (old.* operator(pg_catalog.*<>) new.*) execute function rowhooks.%I()',
    '!rowhooks_update_' || tracked_id, target, function_name
  );
  -- PostgreSQL knows TRUNCATE triggers on foreign tables since version 16.
  if relation.relkind <> 'f' or pg_catalog.current_setting('server_version_num')::integer >= 160000 then
    execute pg_catalog.format(
      'create or replace trigger %I after truncate on %s for each statement execute function rowhooks.%I()',
      '!rowhooks_truncate_' || tracked_id, target, function_name
    );
  end if;
  -- Partition by partition: not every release of PostgreSQL does it for them. Only where something is to be changed: it
  -- makes every session forget its plans.
  for carrier, trigger_name in
    select t.tgrelid::pg_catalog.regclass, t.tgname
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      and p.proname = function_name
      and t.tgenabled <> case when always then 'A' else 'O' end
      and (t.tgrelid = target or t.tgrelid in (select m.relid from pg_catalog.pg_partition_tree(target) as m))
  loop
    execute pg_catalog.format(
      'alter table %s enable %s trigger %I', carrier, case when always then 'always' else '' end, trigger_name
    );
  end loop;
  perform pg_catalog.set_config('lock_timeout', former_timeout, true);
  return tracked_id;
end
$$;
ALTER FUNCTION rowhooks.track(target regclass, audit_receivers boolean, wait interval, identity text[], always boolean, exclude text[]) OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.tracked_table_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  new.revision := pg_catalog.nextval('rowhooks.tracked_table_revision_seq');
  perform rowhooks.ring_bell();
  return new;
end
$$;
ALTER FUNCTION rowhooks.tracked_table_changed() OWNER TO rowhooks_owner;
CREATE FUNCTION rowhooks.untrack(target regclass, wait interval DEFAULT '00:00:03'::interval) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  trigger_name pg_catalog.name;
  former_timeout constant pg_catalog.text := pg_catalog.current_setting('lock_timeout');
begin
  -- A lock_timeout of 0 would wait for ever.
  perform pg_catalog.set_config('lock_timeout', greatest((pg_catalog.date_part('epoch', wait) * 1000)::bigint, 1)::pg_catalog.text, true);
  for trigger_name in
    select t.tgname
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where t.tgrelid = target and t.tgparentid = 0 and p.pronamespace = 'rowhooks'::pg_catalog.regnamespace
      -- rowhooks' own tables carry triggers too.
      and p.proname ~ '^capture_[0-9]+$'
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
$_$;
ALTER FUNCTION rowhooks.untrack(target regclass, wait interval) OWNER TO rowhooks_owner;
SET default_table_access_method = heap;
CREATE TABLE public.thing (
    id integer NOT NULL,
    name text,
    secret text
);
ALTER TABLE public.thing OWNER TO postgres;
CREATE TABLE rowhooks.alembic_version (
    version_num character varying(32) NOT NULL
);
ALTER TABLE rowhooks.alembic_version OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.installation (
    singleton boolean DEFAULT true NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    owner_role name NOT NULL,
    daemon_role name NOT NULL,
    owner_role_created boolean NOT NULL,
    daemon_role_created boolean NOT NULL,
    notify boolean DEFAULT true NOT NULL,
    installed_at timestamp with time zone DEFAULT now() NOT NULL,
    capture_role name DEFAULT 'rowhooks_capture'::name NOT NULL,
    capture_role_created boolean DEFAULT false NOT NULL,
    receiver_role name DEFAULT 'rowhooks_receiver'::name NOT NULL,
    receiver_role_created boolean DEFAULT false NOT NULL,
    CONSTRAINT installation_is_one_row CHECK (singleton)
);
ALTER TABLE rowhooks.installation OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.job (
    id integer NOT NULL,
    class_path text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    "grouping" text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    hidden boolean DEFAULT false NOT NULL,
    meta jsonb DEFAULT '{}'::jsonb NOT NULL,
    enabled boolean DEFAULT false NOT NULL,
    enabled_since pg_snapshot,
    installed boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT job_kind_check CHECK ((kind = ANY (ARRAY['hook'::text, 'button'::text])))
);
ALTER TABLE rowhooks.job OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.job_button (
    id integer NOT NULL,
    name text NOT NULL,
    job_id integer NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    text text NOT NULL,
    group_name text DEFAULT ''::text NOT NULL,
    weight integer DEFAULT 100 NOT NULL,
    button_class text DEFAULT 'default'::text NOT NULL,
    confirmation boolean DEFAULT true NOT NULL,
    roles text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT job_button_class_check CHECK ((button_class = ANY (ARRAY['default'::text, 'primary'::text, 'success'::text, 'info'::text, 'warning'::text, 'danger'::text, 'link'::text]))),
    CONSTRAINT job_button_has_a_name CHECK ((name <> ''::text)),
    CONSTRAINT job_button_text_is_short CHECK ((length(text) <= 500)),
    CONSTRAINT job_button_weight_is_not_negative CHECK ((weight >= 0))
);
ALTER TABLE rowhooks.job_button OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.job_button_table (
    job_button_id integer NOT NULL,
    tracked_table_id integer NOT NULL
);
ALTER TABLE rowhooks.job_button_table OWNER TO rowhooks_owner;
CREATE SEQUENCE rowhooks.tracked_table_revision_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rowhooks.tracked_table_revision_seq OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.tracked_table (
    id integer NOT NULL,
    relation regclass NOT NULL,
    schema_name name NOT NULL,
    table_name name NOT NULL,
    identity text DEFAULT 'key'::text NOT NULL,
    key_columns name[] NOT NULL,
    key_numbers smallint[] NOT NULL,
    repr_column name,
    audit_receivers boolean DEFAULT false NOT NULL,
    always boolean DEFAULT false NOT NULL,
    tracked_at timestamp with time zone DEFAULT now() NOT NULL,
    untracked_at timestamp with time zone,
    revision bigint DEFAULT nextval('rowhooks.tracked_table_revision_seq'::regclass) NOT NULL,
    excluded_columns name[] DEFAULT '{}'::name[] NOT NULL,
    excluded_numbers smallint[] DEFAULT '{}'::smallint[] NOT NULL,
    CONSTRAINT tracked_table_has_a_key CHECK (((identity = 'full'::text) = (cardinality(key_columns) = 0))),
    CONSTRAINT tracked_table_identity_check CHECK ((identity = ANY (ARRAY['key'::text, 'columns'::text, 'full'::text]))),
    CONSTRAINT tracked_table_numbers_its_key CHECK ((cardinality(key_columns) = cardinality(key_numbers)))
);
ALTER TABLE rowhooks.tracked_table OWNER TO rowhooks_owner;
CREATE VIEW rowhooks.buttons WITH (security_barrier='true') AS
 SELECT b.id,
    b.name,
    format('%s.%s'::text, t.schema_name, t.table_name) AS object_type,
    t.relation,
    b.text,
    b.group_name,
    b.weight,
    b.button_class,
    b.confirmation,
    j.class_path AS job,
    b.enabled,
    (j.enabled AND j.installed AND (j.kind = 'button'::text)) AS job_enabled,
    rowhooks.may_press(CURRENT_USER, b.roles, i.daemon_role) AS may_press,
    t.repr_column
   FROM (((((rowhooks.job_button b
     CROSS JOIN rowhooks.installation i)
     JOIN rowhooks.job j ON ((b.job_id = j.id)))
     JOIN rowhooks.job_button_table x ON ((b.id = x.job_button_id)))
     JOIN rowhooks.tracked_table t ON (((x.tracked_table_id = t.id) AND (t.untracked_at IS NULL))))
     JOIN pg_class c ON (((t.relation)::oid = c.oid)))
  WHERE (has_schema_privilege(c.relnamespace, 'USAGE'::text) AND has_table_privilege(c.oid, 'SELECT'::text));
ALTER VIEW rowhooks.buttons OWNER TO rowhooks_owner;
CREATE VIEW rowhooks.changes AS
 SELECT c.id,
    c."time",
    c.action,
    format('%s.%s'::text, t.schema_name, t.table_name) AS object_type,
    c.object_id,
    c.object_repr,
    c.prechange,
    c.postchange,
    c.user_name,
    c.db_user,
    c.request_id,
    c.change_context,
    c.receiver,
    c.capture_error,
    c.transaction_id
   FROM (rowhooks.object_change c
     LEFT JOIN rowhooks.tracked_table t ON ((c.tracked_table = t.id)));
ALTER VIEW rowhooks.changes OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.configuration (
    singleton boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT configuration_is_one_row CHECK (singleton)
);
ALTER TABLE rowhooks.configuration OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.feed (
    singleton boolean DEFAULT true NOT NULL,
    snapshot pg_snapshot DEFAULT pg_current_snapshot() NOT NULL,
    target pg_snapshot,
    after_id bigint DEFAULT 0 NOT NULL,
    floor_id bigint DEFAULT 0 NOT NULL,
    newest_id bigint DEFAULT 0 NOT NULL,
    system_identifier bigint DEFAULT (pg_control_system()).system_identifier NOT NULL,
    lease uuid,
    leader text,
    leader_since timestamp with time zone,
    moved_at timestamp with time zone DEFAULT now() NOT NULL,
    leader_key bigint DEFAULT hashtextextended('rowhooks.leader'::text, (0)::bigint) NOT NULL,
    unreadable jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT feed_is_one_row CHECK (singleton)
);
ALTER TABLE rowhooks.feed OWNER TO rowhooks_owner;
ALTER TABLE rowhooks.job_button ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rowhooks.job_button_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rowhooks.job_hook (
    id integer NOT NULL,
    name text NOT NULL,
    job_id integer NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    enabled_since pg_snapshot,
    type_create boolean DEFAULT false NOT NULL,
    type_update boolean DEFAULT false NOT NULL,
    type_delete boolean DEFAULT false NOT NULL,
    columns text[] DEFAULT '{}'::text[] NOT NULL,
    conditions jsonb,
    declared boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    on_undecided text DEFAULT 'run'::text NOT NULL,
    CONSTRAINT job_hook_has_a_name CHECK ((name <> ''::text)),
    CONSTRAINT job_hook_has_an_action CHECK ((type_create OR type_update OR type_delete)),
    CONSTRAINT job_hook_on_undecided_check CHECK ((on_undecided = ANY (ARRAY['run'::text, 'skip'::text])))
);
ALTER TABLE rowhooks.job_hook OWNER TO rowhooks_owner;
ALTER TABLE rowhooks.job_hook ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rowhooks.job_hook_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rowhooks.job_hook_table (
    job_hook_id integer NOT NULL,
    tracked_table_id integer NOT NULL
);
ALTER TABLE rowhooks.job_hook_table OWNER TO rowhooks_owner;
ALTER TABLE rowhooks.job ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rowhooks.job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rowhooks.job_log_entry (
    id bigint NOT NULL,
    job_result_id bigint NOT NULL,
    "time" timestamp with time zone NOT NULL,
    level text NOT NULL,
    "grouping" text DEFAULT ''::text NOT NULL,
    message text NOT NULL,
    object_type text,
    object_repr text,
    CONSTRAINT job_log_entry_level_check CHECK ((level = ANY (ARRAY['debug'::text, 'info'::text, 'success'::text, 'warning'::text, 'failure'::text, 'error'::text, 'critical'::text])))
);
ALTER TABLE rowhooks.job_log_entry OWNER TO rowhooks_owner;
ALTER TABLE rowhooks.job_log_entry ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rowhooks.job_log_entry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rowhooks.job_result (
    id bigint NOT NULL,
    origin text DEFAULT 'change'::text NOT NULL,
    original_id bigint,
    object_change_id bigint,
    job_hook_id integer,
    job_button_id integer,
    job_id integer NOT NULL,
    class_path text NOT NULL,
    hook_name text,
    button_name text,
    tracked_table integer,
    object_id jsonb,
    object_repr text,
    action text,
    user_name text,
    db_user name DEFAULT SESSION_USER NOT NULL,
    idempotency_key text,
    status text NOT NULL,
    attempt integer DEFAULT 1 NOT NULL,
    retries integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone,
    lease uuid,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    result jsonb,
    exception_type text,
    exception_message text,
    traceback text,
    login name,
    CONSTRAINT job_result_failure_has_an_exception CHECK (((status <> 'FAILURE'::text) OR (exception_type IS NOT NULL))),
    CONSTRAINT job_result_finished_at_check CHECK (((status = ANY (ARRAY['SUCCESS'::text, 'FAILURE'::text, 'REVOKED'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT job_result_has_a_starter CHECK (((origin = 'press'::text) = (job_hook_id IS NULL))),
    CONSTRAINT job_result_origin_check CHECK ((origin = ANY (ARRAY['change'::text, 'press'::text, 'replay'::text]))),
    CONSTRAINT job_result_retry_at_check CHECK (((status <> 'RETRY'::text) OR (retry_at IS NOT NULL))),
    CONSTRAINT job_result_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'STARTED'::text, 'RETRY'::text, 'SUCCESS'::text, 'FAILURE'::text, 'REVOKED'::text])))
);
ALTER TABLE rowhooks.job_result OWNER TO rowhooks_owner;
ALTER TABLE rowhooks.job_result ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rowhooks.job_result_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rowhooks.object_change_0 (
    id bigint CONSTRAINT object_change_id_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT object_change_transaction_id_not_null NOT NULL,
    "time" timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT object_change_time_not_null NOT NULL,
    action rowhooks.object_change_action CONSTRAINT object_change_action_not_null NOT NULL,
    tracked_table integer CONSTRAINT object_change_tracked_table_not_null NOT NULL,
    object_id jsonb,
    object_repr text,
    prechange jsonb,
    postchange jsonb,
    db_user name DEFAULT SESSION_USER CONSTRAINT object_change_db_user_not_null NOT NULL,
    user_name text,
    request_id text,
    change_context text,
    receiver text,
    capture_error text
);
ALTER TABLE rowhooks.object_change_0 OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.object_change_1000000 (
    id bigint CONSTRAINT object_change_id_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT object_change_transaction_id_not_null NOT NULL,
    "time" timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT object_change_time_not_null NOT NULL,
    action rowhooks.object_change_action CONSTRAINT object_change_action_not_null NOT NULL,
    tracked_table integer CONSTRAINT object_change_tracked_table_not_null NOT NULL,
    object_id jsonb,
    object_repr text,
    prechange jsonb,
    postchange jsonb,
    db_user name DEFAULT SESSION_USER CONSTRAINT object_change_db_user_not_null NOT NULL,
    user_name text,
    request_id text,
    change_context text,
    receiver text,
    capture_error text
);
ALTER TABLE rowhooks.object_change_1000000 OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.object_change_2000000 (
    id bigint CONSTRAINT object_change_id_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT object_change_transaction_id_not_null NOT NULL,
    "time" timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT object_change_time_not_null NOT NULL,
    action rowhooks.object_change_action CONSTRAINT object_change_action_not_null NOT NULL,
    tracked_table integer CONSTRAINT object_change_tracked_table_not_null NOT NULL,
    object_id jsonb,
    object_repr text,
    prechange jsonb,
    postchange jsonb,
    db_user name DEFAULT SESSION_USER CONSTRAINT object_change_db_user_not_null NOT NULL,
    user_name text,
    request_id text,
    change_context text,
    receiver text,
    capture_error text
);
ALTER TABLE rowhooks.object_change_2000000 OWNER TO rowhooks_owner;
CREATE TABLE rowhooks.object_change_default (
    id bigint CONSTRAINT object_change_id_not_null NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() CONSTRAINT object_change_transaction_id_not_null NOT NULL,
    "time" timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT object_change_time_not_null NOT NULL,
    action rowhooks.object_change_action CONSTRAINT object_change_action_not_null NOT NULL,
    tracked_table integer CONSTRAINT object_change_tracked_table_not_null NOT NULL,
    object_id jsonb,
    object_repr text,
    prechange jsonb,
    postchange jsonb,
    db_user name DEFAULT SESSION_USER CONSTRAINT object_change_db_user_not_null NOT NULL,
    user_name text,
    request_id text,
    change_context text,
    receiver text,
    capture_error text
);
ALTER TABLE rowhooks.object_change_default OWNER TO rowhooks_owner;
ALTER TABLE rowhooks.object_change ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rowhooks.object_change_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW rowhooks.press AS
 SELECT NULL::bigint AS id,
    NULL::text AS button,
    NULL::regclass AS object_table,
    NULL::jsonb AS object_id,
    NULL::text AS object_text,
    NULL::text AS idempotency_key,
    NULL::name AS presser,
    NULL::text AS object_repr
  WHERE false;
ALTER VIEW rowhooks.press OWNER TO rowhooks_owner;
CREATE VIEW rowhooks.results AS
 SELECT r.id,
    r.status,
    r.origin,
    r.original_id,
    r.class_path,
    r.hook_name,
    r.button_name,
    r.action,
    format('%s.%s'::text, t.schema_name, t.table_name) AS object_type,
    r.object_id,
    r.object_repr,
    r.object_change_id,
    r.user_name,
    r.db_user,
    r.attempt,
    r.retries,
    r.retry_at,
    r.created_at,
    r.started_at,
    r.finished_at,
    r.result,
    r.exception_type,
    r.exception_message,
    r.traceback,
        CASE
            WHEN (r.origin = 'change'::text) THEN format('%s:%s:%s'::text, i.id, r.object_change_id, r.job_hook_id)
            ELSE format('%s:run:%s'::text, i.id, COALESCE(r.original_id, r.id))
        END AS key,
    ( SELECT COALESCE(jsonb_object_agg(l.level, l.lines), '{}'::jsonb) AS "coalesce"
           FROM ( SELECT e.level,
                    count(*) AS lines
                   FROM rowhooks.job_log_entry e
                  WHERE (e.job_result_id = r.id)
                  GROUP BY e.level) l) AS log_counts,
    r.login
   FROM ((rowhooks.job_result r
     CROSS JOIN rowhooks.installation i)
     LEFT JOIN rowhooks.tracked_table t ON ((r.tracked_table = t.id)));
ALTER VIEW rowhooks.results OWNER TO rowhooks_owner;
ALTER TABLE rowhooks.tracked_table ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rowhooks.tracked_table_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rowhooks.tracking_rule (
    pattern text NOT NULL,
    audit_receivers boolean DEFAULT false NOT NULL,
    always boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE rowhooks.tracking_rule OWNER TO rowhooks_owner;
ALTER TABLE ONLY rowhooks.object_change ATTACH PARTITION rowhooks.object_change_0 FOR VALUES FROM ('0') TO ('1000000');
ALTER TABLE ONLY rowhooks.object_change ATTACH PARTITION rowhooks.object_change_1000000 FOR VALUES FROM ('1000000') TO ('2000000');
ALTER TABLE ONLY rowhooks.object_change ATTACH PARTITION rowhooks.object_change_2000000 FOR VALUES FROM ('2000000') TO ('3000000');
ALTER TABLE ONLY rowhooks.object_change ATTACH PARTITION rowhooks.object_change_default DEFAULT;
COPY public.thing (id, name, secret) FROM stdin;
1	a	s
\.
COPY rowhooks.alembic_version (version_num) FROM stdin;
0002
\.
COPY rowhooks.configuration (singleton, version) FROM stdin;
t	6
\.
COPY rowhooks.feed (singleton, snapshot, target, after_id, floor_id, newest_id, system_identifier, lease, leader, leader_since, moved_at, leader_key, unreadable) FROM stdin;
t	1839:1839:	\N	0	0	0	7713524979323039160	\N	\N	\N	2026-11-29 09:58:29.136807+00	-37617464191448234	[]
\.
COPY rowhooks.installation (singleton, id, owner_role, daemon_role, owner_role_created, daemon_role_created, notify, installed_at, capture_role, capture_role_created, receiver_role, receiver_role_created) FROM stdin;
t	c2407792-65e7-4fda-b8df-543c48c44dbf	rowhooks_owner	rowhooks_daemon	f	f	t	2026-11-29 09:58:29.136807+00	rowhooks_capture	f	rowhooks_receiver	f
\.
COPY rowhooks.job (id, class_path, kind, name, "grouping", description, hidden, meta, enabled, enabled_since, installed, created_at) FROM stdin;
1	shop.Sync	hook	Sync			f	{}	t	1843:1843:	t	2026-11-29 09:58:33.514713+00
2	shop.Press	button	Press			f	{}	t	1843:1843:	t	2026-11-29 09:58:33.514713+00
\.
COPY rowhooks.job_button (id, name, job_id, enabled, text, group_name, weight, button_class, confirmation, roles, created_at) FROM stdin;
1	press	2	t	Press {{ obj.name }}		100	default	t	{public}	2026-11-29 09:58:33.531397+00
\.
COPY rowhooks.job_button_table (job_button_id, tracked_table_id) FROM stdin;
1	1
\.
COPY rowhooks.job_hook (id, name, job_id, enabled, enabled_since, type_create, type_update, type_delete, columns, conditions, declared, created_at, on_undecided) FROM stdin;
1	sync	1	t	1844:1844:	t	t	f	{name}	\N	f	2026-11-29 09:58:33.51782+00	run
\.
COPY rowhooks.job_hook_table (job_hook_id, tracked_table_id) FROM stdin;
1	1
\.
COPY rowhooks.job_log_entry (id, job_result_id, "time", level, "grouping", message, object_type, object_repr) FROM stdin;
\.
COPY rowhooks.job_result (id, origin, original_id, object_change_id, job_hook_id, job_button_id, job_id, class_path, hook_name, button_name, tracked_table, object_id, object_repr, action, user_name, db_user, idempotency_key, status, attempt, retries, retry_at, lease, created_at, started_at, finished_at, result, exception_type, exception_message, traceback, login) FROM stdin;
1	press	\N	\N	\N	1	2	shop.Press	\N	press	1	{"id": 1}	a	press	\N	postgres	\N	PENDING	1	0	\N	\N	2026-11-29 09:58:33.544179+00	\N	\N	\N	\N	\N	\N	postgres
\.
COPY rowhooks.object_change_0 (id, transaction_id, "time", action, tracked_table, object_id, object_repr, prechange, postchange, db_user, user_name, request_id, change_context, receiver, capture_error) FROM stdin;
1	1846	2026-11-29 09:58:33.533967+00	create	1	{"id": 1}	a	\N	{"id": 1, "name": "a"}	postgres	\N	\N	\N	\N	\N
\.
COPY rowhooks.object_change_1000000 (id, transaction_id, "time", action, tracked_table, object_id, object_repr, prechange, postchange, db_user, user_name, request_id, change_context, receiver, capture_error) FROM stdin;
\.
COPY rowhooks.object_change_2000000 (id, transaction_id, "time", action, tracked_table, object_id, object_repr, prechange, postchange, db_user, user_name, request_id, change_context, receiver, capture_error) FROM stdin;
\.
COPY rowhooks.object_change_default (id, transaction_id, "time", action, tracked_table, object_id, object_repr, prechange, postchange, db_user, user_name, request_id, change_context, receiver, capture_error) FROM stdin;
\.
COPY rowhooks.tracked_table (id, relation, schema_name, table_name, identity, key_columns, key_numbers, repr_column, audit_receivers, always, tracked_at, untracked_at, revision, excluded_columns, excluded_numbers) FROM stdin;
1	public.thing	public	thing	key	{id}	{1}	name	f	f	2026-11-29 09:58:33.002567+00	\N	2	{secret}	{3}
\.
COPY rowhooks.tracking_rule (pattern, audit_receivers, always, created_at) FROM stdin;
\.
SELECT pg_catalog.setval('rowhooks.job_button_id_seq', 1, true);
SELECT pg_catalog.setval('rowhooks.job_hook_id_seq', 1, true);
SELECT pg_catalog.setval('rowhooks.job_id_seq', 2, true);
SELECT pg_catalog.setval('rowhooks.job_log_entry_id_seq', 1, false);
SELECT pg_catalog.setval('rowhooks.job_result_id_seq', 1, true);
SELECT pg_catalog.setval('rowhooks.object_change_id_seq', 1, true);
SELECT pg_catalog.setval('rowhooks.tracked_table_id_seq', 1, true);
SELECT pg_catalog.setval('rowhooks.tracked_table_revision_seq', 2, true);
ALTER TABLE ONLY public.thing
    ADD CONSTRAINT thing_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY rowhooks.configuration
    ADD CONSTRAINT configuration_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY rowhooks.feed
    ADD CONSTRAINT feed_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY rowhooks.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY rowhooks.job_button
    ADD CONSTRAINT job_button_name_key UNIQUE (name);
ALTER TABLE ONLY rowhooks.job_button
    ADD CONSTRAINT job_button_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.job_button_table
    ADD CONSTRAINT job_button_table_pkey PRIMARY KEY (job_button_id, tracked_table_id);
ALTER TABLE ONLY rowhooks.job
    ADD CONSTRAINT job_class_path_key UNIQUE (class_path);
ALTER TABLE ONLY rowhooks.job_hook
    ADD CONSTRAINT job_hook_name_key UNIQUE (name);
ALTER TABLE ONLY rowhooks.job_hook
    ADD CONSTRAINT job_hook_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.job_hook_table
    ADD CONSTRAINT job_hook_table_pkey PRIMARY KEY (job_hook_id, tracked_table_id);
ALTER TABLE ONLY rowhooks.job_log_entry
    ADD CONSTRAINT job_log_entry_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.job_result
    ADD CONSTRAINT job_result_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.object_change
    ADD CONSTRAINT object_change_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.object_change_0
    ADD CONSTRAINT object_change_0_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.object_change_1000000
    ADD CONSTRAINT object_change_1000000_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.object_change_2000000
    ADD CONSTRAINT object_change_2000000_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.object_change_default
    ADD CONSTRAINT object_change_default_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.tracked_table
    ADD CONSTRAINT tracked_table_pkey PRIMARY KEY (id);
ALTER TABLE ONLY rowhooks.tracking_rule
    ADD CONSTRAINT tracking_rule_pkey PRIMARY KEY (pattern);
CREATE INDEX job_button_job_id_idx ON rowhooks.job_button USING btree (job_id);
CREATE INDEX job_button_table_tracked_table_id_idx ON rowhooks.job_button_table USING btree (tracked_table_id);
CREATE INDEX job_hook_job_id_idx ON rowhooks.job_hook USING btree (job_id);
CREATE INDEX job_hook_table_tracked_table_id_idx ON rowhooks.job_hook_table USING btree (tracked_table_id);
CREATE INDEX job_log_entry_job_result_id_idx ON rowhooks.job_log_entry USING btree (job_result_id, id);
CREATE INDEX job_result_asked_for_idx ON rowhooks.job_result USING btree (id) WHERE ((status = 'PENDING'::text) AND (lease IS NULL));
CREATE UNIQUE INDEX job_result_idempotency_key ON rowhooks.job_result USING btree (job_button_id, db_user, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX job_result_needs_its_change_idx ON rowhooks.job_result USING btree (object_change_id) WHERE (status = ANY (ARRAY['PENDING'::text, 'STARTED'::text, 'RETRY'::text, 'FAILURE'::text]));
CREATE INDEX job_result_original_id_idx ON rowhooks.job_result USING btree (original_id) WHERE (original_id IS NOT NULL);
CREATE UNIQUE INDEX job_result_retry_key ON rowhooks.job_result USING btree (original_id) WHERE ((original_id IS NOT NULL) AND (status = ANY (ARRAY['PENDING'::text, 'STARTED'::text, 'RETRY'::text])));
CREATE UNIQUE INDEX job_result_run_key ON rowhooks.job_result USING btree (object_change_id, job_hook_id) WHERE ((origin = 'change'::text) AND (original_id IS NULL));
CREATE INDEX job_result_unfinished_idx ON rowhooks.job_result USING btree (id) WHERE (status = ANY (ARRAY['PENDING'::text, 'STARTED'::text, 'RETRY'::text]));
CREATE INDEX object_change_transaction_id_idx ON ONLY rowhooks.object_change USING btree (transaction_id, id);
CREATE INDEX object_change_0_transaction_id_id_idx ON rowhooks.object_change_0 USING btree (transaction_id, id);
CREATE INDEX object_change_1000000_transaction_id_id_idx ON rowhooks.object_change_1000000 USING btree (transaction_id, id);
CREATE INDEX object_change_2000000_transaction_id_id_idx ON rowhooks.object_change_2000000 USING btree (transaction_id, id);
CREATE INDEX object_change_default_transaction_id_id_idx ON rowhooks.object_change_default USING btree (transaction_id, id);
CREATE UNIQUE INDEX tracked_table_relation_key ON rowhooks.tracked_table USING btree (relation) WHERE (untracked_at IS NULL);
ALTER INDEX rowhooks.object_change_pkey ATTACH PARTITION rowhooks.object_change_0_pkey;
ALTER INDEX rowhooks.object_change_transaction_id_idx ATTACH PARTITION rowhooks.object_change_0_transaction_id_id_idx;
ALTER INDEX rowhooks.object_change_pkey ATTACH PARTITION rowhooks.object_change_1000000_pkey;
ALTER INDEX rowhooks.object_change_transaction_id_idx ATTACH PARTITION rowhooks.object_change_1000000_transaction_id_id_idx;
ALTER INDEX rowhooks.object_change_pkey ATTACH PARTITION rowhooks.object_change_2000000_pkey;
ALTER INDEX rowhooks.object_change_transaction_id_idx ATTACH PARTITION rowhooks.object_change_2000000_transaction_id_id_idx;
ALTER INDEX rowhooks.object_change_pkey ATTACH PARTITION rowhooks.object_change_default_pkey;
ALTER INDEX rowhooks.object_change_transaction_id_idx ATTACH PARTITION rowhooks.object_change_default_transaction_id_id_idx;
CREATE TRIGGER "!rowhooks_row_1" AFTER INSERT OR DELETE ON public.thing FOR EACH ROW EXECUTE FUNCTION rowhooks.capture_1();
CREATE TRIGGER "!rowhooks_truncate_1" AFTER TRUNCATE ON public.thing FOR EACH STATEMENT EXECUTE FUNCTION rowhooks.capture_1();
CREATE TRIGGER "!rowhooks_update_1" AFTER UPDATE ON public.thing FOR EACH ROW WHEN ((old.* *<> new.*)) EXECUTE FUNCTION rowhooks.capture_1();
CREATE TRIGGER job_button_checked BEFORE INSERT OR UPDATE ON rowhooks.job_button FOR EACH ROW EXECUTE FUNCTION rowhooks.check_button();
CREATE TRIGGER job_button_configuration_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON rowhooks.job_button FOR EACH STATEMENT EXECUTE FUNCTION rowhooks.configuration_changed();
CREATE TRIGGER job_button_table_configuration_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON rowhooks.job_button_table FOR EACH STATEMENT EXECUTE FUNCTION rowhooks.configuration_changed();
CREATE TRIGGER job_configuration_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON rowhooks.job FOR EACH STATEMENT EXECUTE FUNCTION rowhooks.configuration_changed();
CREATE TRIGGER job_enabled_since BEFORE INSERT OR UPDATE OF enabled ON rowhooks.job FOR EACH ROW EXECUTE FUNCTION rowhooks.hook_enabled_since();
CREATE TRIGGER job_hook_checked BEFORE INSERT OR UPDATE ON rowhooks.job_hook FOR EACH ROW EXECUTE FUNCTION rowhooks.check_hook();
CREATE TRIGGER job_hook_configuration_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON rowhooks.job_hook FOR EACH STATEMENT EXECUTE FUNCTION rowhooks.configuration_changed();
CREATE TRIGGER job_hook_enabled_since BEFORE INSERT OR UPDATE OF enabled ON rowhooks.job_hook FOR EACH ROW EXECUTE FUNCTION rowhooks.hook_enabled_since();
CREATE CONSTRAINT TRIGGER job_hook_scope AFTER INSERT OR UPDATE OF job_id, type_create, type_update, type_delete, columns, conditions ON rowhooks.job_hook DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION rowhooks.check_hook_scope('id');
CREATE TRIGGER job_hook_table_configuration_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON rowhooks.job_hook_table FOR EACH STATEMENT EXECUTE FUNCTION rowhooks.configuration_changed();
CREATE CONSTRAINT TRIGGER job_hook_table_scope AFTER INSERT OR DELETE OR UPDATE ON rowhooks.job_hook_table DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION rowhooks.check_hook_scope('job_hook_id');
CREATE TRIGGER job_result_asked_for AFTER INSERT ON rowhooks.job_result FOR EACH ROW WHEN ((new.lease IS NULL)) EXECUTE FUNCTION rowhooks.run_asked_for();
CREATE TRIGGER job_result_not_asked_for_by_receivers AFTER INSERT ON rowhooks.job_result FOR EACH ROW WHEN ((NOT has_table_privilege(('rowhooks.job_result'::regclass)::oid, 'INSERT'::text))) EXECUTE FUNCTION rowhooks.check_recorder();
CREATE TRIGGER job_result_not_rewritten_by_receivers AFTER UPDATE ON rowhooks.job_result FOR EACH ROW WHEN ((NOT has_table_privilege(('rowhooks.job_result'::regclass)::oid, 'UPDATE'::text))) EXECUTE FUNCTION rowhooks.check_recorder();
CREATE TRIGGER press_1_find_row INSTEAD OF INSERT ON rowhooks.press FOR EACH ROW EXECUTE FUNCTION rowhooks.find_pressed_row();
CREATE TRIGGER press_2_record INSTEAD OF INSERT ON rowhooks.press FOR EACH ROW EXECUTE FUNCTION rowhooks.record_press();
CREATE TRIGGER tracked_table_changed BEFORE INSERT OR UPDATE ON rowhooks.tracked_table FOR EACH ROW EXECUTE FUNCTION rowhooks.tracked_table_changed();
ALTER TABLE ONLY rowhooks.job_button
    ADD CONSTRAINT job_button_job_id_fkey FOREIGN KEY (job_id) REFERENCES rowhooks.job(id) ON DELETE CASCADE;
ALTER TABLE ONLY rowhooks.job_button_table
    ADD CONSTRAINT job_button_table_job_button_id_fkey FOREIGN KEY (job_button_id) REFERENCES rowhooks.job_button(id) ON DELETE CASCADE;
ALTER TABLE ONLY rowhooks.job_button_table
    ADD CONSTRAINT job_button_table_tracked_table_id_fkey FOREIGN KEY (tracked_table_id) REFERENCES rowhooks.tracked_table(id) ON DELETE CASCADE;
ALTER TABLE ONLY rowhooks.job_hook
    ADD CONSTRAINT job_hook_job_id_fkey FOREIGN KEY (job_id) REFERENCES rowhooks.job(id) ON DELETE CASCADE;
ALTER TABLE ONLY rowhooks.job_hook_table
    ADD CONSTRAINT job_hook_table_job_hook_id_fkey FOREIGN KEY (job_hook_id) REFERENCES rowhooks.job_hook(id) ON DELETE CASCADE;
ALTER TABLE ONLY rowhooks.job_hook_table
    ADD CONSTRAINT job_hook_table_tracked_table_id_fkey FOREIGN KEY (tracked_table_id) REFERENCES rowhooks.tracked_table(id) ON DELETE CASCADE;
GRANT USAGE ON SCHEMA rowhooks TO rowhooks_daemon;
GRANT USAGE ON SCHEMA rowhooks TO rowhooks_capture;
GRANT USAGE ON SCHEMA rowhooks TO rowhooks_receiver;
GRANT USAGE ON SCHEMA rowhooks TO PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.after_ddl() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.always_quoted(column_name name) TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.arm_bell(patience interval) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.arm_bell(patience interval) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.asks_for(columns text[], conditions jsonb, column_name name) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.attach_partition(partition name, lower_id bigint, upper_id bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.build_capture(target_id integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.capture_1() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.capture_1() TO postgres;
REVOKE ALL ON FUNCTION rowhooks.captured_columns(target_id integer, carrier oid) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.captured_columns(target_id integer, carrier oid) TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.check_button() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.check_conditions(conditions jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.check_excluded(target regclass, target_id integer, target_keys name[], excluded_columns name[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.check_hook() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.check_hook_scope() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.check_recorder() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.column_as_json(row_name text, column_name name, form text) TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.configuration_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.configuration_version() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.configuration_version() TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.default_partition_is_small() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.drop_partition(target name, before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.drop_partition(target name, before timestamp with time zone) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.empty_default_partition(width bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.empty_default_partition(width bigint) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.extend_object_change(width bigint, ahead integer) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.extend_object_change(width bigint, ahead integer) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.find_pressed_row() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.forget_table(target regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.hand_over(target_id integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.hook_enabled_since() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.identity_of(target regclass, wanted text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.is_captured(carrier oid, target_id integer) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.is_captured(carrier oid, target_id integer) TO rowhooks_capture;
GRANT SELECT ON TABLE rowhooks.object_change TO rowhooks_daemon;
GRANT INSERT(action) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(tracked_table) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(object_id) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(object_repr) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(prechange) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(postchange) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(user_name) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(request_id) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(change_context) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(receiver) ON TABLE rowhooks.object_change TO rowhooks_capture;
GRANT INSERT(capture_error) ON TABLE rowhooks.object_change TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.is_done_with(change rowhooks.object_change, before timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.is_handed_over(target_id integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.is_history(partition name, before timestamp with time zone) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.is_receiver() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.is_receiver() TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.is_restored() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.is_up_to_date(target_id integer, target regclass, row_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.json_as_recorded(row_data record) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.json_as_recorded(row_data record) TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.largest_row() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.largest_row() TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.lock_partitions() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.log_partitions() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.log_partitions() TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.make_partition(partition name, lower_id bigint, upper_id bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.matches_glob(name text, pattern text) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.matches_glob(name text, pattern text) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.must_own(target regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.must_read_committed() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.present_key(target_id integer, row_data jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.present_key(target_id integer, row_data jsonb) TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.present_key_columns(target_id integer) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.present_key_columns(target_id integer) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.prunable_partitions(before timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.prunable_partitions(before timestamp with time zone) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.prune_changes(before timestamp with time zone, batch integer, after_id bigint, dry_run boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.prune_changes(before timestamp with time zone, batch integer, after_id bigint, dry_run boolean) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.prune_results(older_than interval, batch integer, after_id bigint, include_failed boolean, dry_run boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.prune_results(older_than interval, batch integer, after_id bigint, include_failed boolean, dry_run boolean) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.record_press() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.refresh_table(target_id integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.refresh_tables() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.refresh_tables() TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.register_table(target regclass, target_keys name[], target_audit boolean, by_hand boolean, target_always boolean, target_excluded name[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.representing_column(target regclass, excluded_columns name[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.resume_after_restore(visible_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.resume_after_restore(visible_id bigint) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.retry(result_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.retry(result_id bigint) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.revoke(result_id bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.revoke(result_id bigint) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.ring_bell() FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.ring_bell() TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.row_as_json(target_id integer, target regclass, row_name text) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.row_by_columns(target_id integer, carrier oid, row_data record, OUT data jsonb, OUT problem text) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.row_by_columns(target_id integer, carrier oid, row_data record, OUT data jsonb, OUT problem text) TO rowhooks_capture;
REVOKE ALL ON FUNCTION rowhooks.run_asked_for() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.set_notify(wanted boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.settings_of_rows(target_id integer, target regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.settings_of_type(type_id oid) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.source_of_bell() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.source_of_capture(target_id integer) FROM PUBLIC;
GRANT ALL ON FUNCTION rowhooks.source_of_capture(target_id integer) TO rowhooks_daemon;
REVOKE ALL ON FUNCTION rowhooks.stop_writers(partitions name[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.track(target regclass, audit_receivers boolean, wait interval, identity text[], always boolean, exclude text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.tracked_table_changed() FROM PUBLIC;
REVOKE ALL ON FUNCTION rowhooks.untrack(target regclass, wait interval) FROM PUBLIC;
GRANT SELECT ON TABLE rowhooks.alembic_version TO rowhooks_daemon;
GRANT SELECT ON TABLE rowhooks.installation TO rowhooks_daemon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE rowhooks.job TO rowhooks_daemon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE rowhooks.job_button TO rowhooks_daemon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE rowhooks.job_button_table TO rowhooks_daemon;
GRANT SELECT ON TABLE rowhooks.tracked_table TO rowhooks_daemon;
GRANT SELECT ON TABLE rowhooks.buttons TO PUBLIC;
GRANT SELECT ON TABLE rowhooks.changes TO rowhooks_daemon;
GRANT SELECT ON TABLE rowhooks.configuration TO rowhooks_daemon;
GRANT SELECT,UPDATE ON TABLE rowhooks.feed TO rowhooks_daemon;
GRANT UPDATE(singleton) ON TABLE rowhooks.feed TO rowhooks_receiver;
GRANT SELECT(lease) ON TABLE rowhooks.feed TO rowhooks_receiver;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE rowhooks.job_hook TO rowhooks_daemon;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE rowhooks.job_hook_table TO rowhooks_daemon;
GRANT SELECT,INSERT ON TABLE rowhooks.job_log_entry TO rowhooks_daemon;
GRANT INSERT(job_result_id) ON TABLE rowhooks.job_log_entry TO rowhooks_receiver;
GRANT INSERT("time") ON TABLE rowhooks.job_log_entry TO rowhooks_receiver;
GRANT INSERT(level) ON TABLE rowhooks.job_log_entry TO rowhooks_receiver;
GRANT INSERT("grouping") ON TABLE rowhooks.job_log_entry TO rowhooks_receiver;
GRANT INSERT(message) ON TABLE rowhooks.job_log_entry TO rowhooks_receiver;
GRANT INSERT(object_type) ON TABLE rowhooks.job_log_entry TO rowhooks_receiver;
GRANT INSERT(object_repr) ON TABLE rowhooks.job_log_entry TO rowhooks_receiver;
GRANT SELECT,INSERT,UPDATE ON TABLE rowhooks.job_result TO rowhooks_daemon;
GRANT SELECT(id),INSERT(id) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(origin),INSERT(origin) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(original_id),INSERT(original_id) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(object_change_id),INSERT(object_change_id) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(job_hook_id),INSERT(job_hook_id) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(job_button_id) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(job_id) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(class_path) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(hook_name) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(button_name) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(tracked_table) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(object_id) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(object_repr) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(action) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(user_name) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(db_user) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(status),INSERT(status),UPDATE(status) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(attempt),INSERT(attempt),UPDATE(attempt) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(retries),INSERT(retries),UPDATE(retries) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(retry_at),INSERT(retry_at),UPDATE(retry_at) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(lease),INSERT(lease) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(started_at),INSERT(started_at),UPDATE(started_at) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT SELECT(finished_at),INSERT(finished_at),UPDATE(finished_at) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(result),UPDATE(result) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(exception_type),UPDATE(exception_type) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(exception_message),UPDATE(exception_message) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT INSERT(traceback),UPDATE(traceback) ON TABLE rowhooks.job_result TO rowhooks_receiver;
GRANT USAGE ON SEQUENCE rowhooks.job_result_id_seq TO rowhooks_daemon;
GRANT SELECT ON SEQUENCE rowhooks.object_change_id_seq TO rowhooks_daemon;
GRANT SELECT,INSERT ON TABLE rowhooks.press TO PUBLIC;
GRANT SELECT ON TABLE rowhooks.results TO rowhooks_daemon;
GRANT SELECT ON TABLE rowhooks.tracking_rule TO rowhooks_daemon;
CREATE EVENT TRIGGER rowhooks_after_ddl ON ddl_command_end
         WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER SCHEMA', 'ALTER TYPE')
   EXECUTE FUNCTION rowhooks.after_ddl();
ALTER EVENT TRIGGER rowhooks_after_ddl OWNER TO postgres;
COMMENT ON EVENT TRIGGER rowhooks_after_ddl IS 'rowhooks 04609df72445043d92e9b76dc8db2897 rowhooks_owner rowhooks_capture';
CREATE EVENT TRIGGER rowhooks_after_drop ON sql_drop
   EXECUTE FUNCTION rowhooks.after_ddl();
ALTER EVENT TRIGGER rowhooks_after_drop OWNER TO postgres;
