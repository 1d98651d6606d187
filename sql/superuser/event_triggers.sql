-- Event triggers, which only a superuser may make. Without them the daemon notices altered tables when it meets their
-- changes, and `rowhooks doctor` names new tables that a rule of tracking_rule means.
-- Nothing here ever fails the statement of somebody else: what goes wrong is written to the server's log.

-- Purpose: after DDL, bring tracked tables up to date, and track new tables that a rule means.
-- Returns: event_trigger
-- Reads:   rowhooks.tracked_table, rowhooks.tracking_rule
-- Writes:  rowhooks.tracked_table, by rowhooks.refresh_table and rowhooks.track
-- SECURITY DEFINER, of the superuser who installed it: whoever makes the table may know nothing of rowhooks.
create or replace function rowhooks.after_ddl() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target record;
begin
  for target in
    with altered as (
      select d.objid
      from pg_catalog.pg_event_trigger_ddl_commands() as d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      union
      -- ATTACH PARTITION names the parent alone.
      select t.relation
      from pg_catalog.pg_event_trigger_ddl_commands() as d
      cross join lateral pg_catalog.pg_partition_tree(d.objid) as p
      join rowhooks.tracked_table as t on t.relation = p.relid and t.untracked_at is null
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
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
    from altered as a
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
$$;

-- Purpose: after a tracked table was dropped, mark its entry and drop its capture function. Its history stays.
-- Returns: event_trigger
-- Writes:  rowhooks.tracked_table
create or replace function rowhooks.after_drop() returns event_trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  gone integer;
begin
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
exception when others then
  raise log 'rowhooks could not follow a DROP: %', sqlerrm;
end
$$;

-- The linter does not know event triggers.
-- noqa: disable=PRS
drop event trigger if exists rowhooks_after_ddl;
create event trigger rowhooks_after_ddl on ddl_command_end
when tag in (
  'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA',
  'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER SCHEMA', 'ALTER TYPE'
)
execute function rowhooks.after_ddl();

drop event trigger if exists rowhooks_after_drop;
create event trigger rowhooks_after_drop on sql_drop execute function rowhooks.after_drop();

revoke execute on function rowhooks.after_ddl(), rowhooks.after_drop() from public;

-- The capture functions of tables with types of their owners' own rely on these from now on (see rowhooks.row_as_json).
select rowhooks.build_capture(t.id)
from rowhooks.tracked_table as t
inner join pg_class as c on t.relation = c.oid
where t.untracked_at is null;
