-- What the event triggers do once rowhooks.after_ddl has found that nothing weaker than a superuser has changed the schema.

-- Purpose: list the relations that the DDL command in hand may have changed.
-- Returns: their oids
-- Reads:   rowhooks.tracked_table
create or replace function rowhooks.altered_relations() returns setof oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive altered (objid) as (
    select d.objid
    from pg_catalog.pg_event_trigger_ddl_commands() as d
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    union
    -- A command on a parent, ATTACH PARTITION too, changes its children and does not name them.
    select i.inhrelid
    from altered as a
    join pg_catalog.pg_inherits as i on i.inhparent = a.objid
  )
  select a.objid from altered as a
  union
  select c.oid
  from pg_catalog.pg_event_trigger_ddl_commands() as d
  join pg_catalog.pg_class as c on c.relnamespace = d.objid
  where d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
  union
  -- A type may be part of another type, which may be the type of a column.
  select t.relation
  from rowhooks.tracked_table as t
  where t.untracked_at is null
    and exists (
      select from pg_catalog.pg_event_trigger_ddl_commands() as d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.object_type like '%type'
        or d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
    )
$$;

-- Purpose: list the tables for which the DDL command in hand may mean something: tracked ones, and new ones that a rule means.
-- Returns: relation             the table
--          id                   rowhooks.tracked_table.id; null for a table that is not tracked
--          audit_receivers      what the rule says
--          always               what the rule says
--          capture              what the rule says
--          attached             it is tracked, and a partition of a tracked table now
--          must_lose_condition  its update trigger has a condition, which would compute a virtual generated column
--          has_lost_trigger     it was in the statement form, and its update trigger went with a column of the key
-- Reads:   rowhooks.tracked_table, rowhooks.tracking_rule
create or replace function rowhooks.tables_to_follow()
returns table (
  relation regclass, id integer, audit_receivers boolean, always boolean, capture text, attached boolean,
  must_lose_condition boolean, has_lost_trigger boolean
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    c.oid::pg_catalog.regclass as relation,
    t.id,
    r.audit_receivers,
    r.always,
    r.capture,
    t.id is not null and exists (
      select from pg_catalog.pg_partition_ancestors(c.oid) as p
      join rowhooks.tracked_table as o on o.relation = p.relid and o.untracked_at is null
      where p.relid <> c.oid
    ) as attached,
    -- It has a virtual generated column now, and its trigger was made before, with a condition that computes the column.
    exists (
      select from pg_catalog.pg_trigger as g
      where g.tgrelid = c.oid and g.tgname = '!rowhooks_update_' || t.id
        and g.tgqual is not null
        and exists (select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attgenerated = 'v')
    ) as must_lose_condition,
    t.mark is not null and not exists (
      select from pg_catalog.pg_trigger as g where g.tgrelid = c.oid and g.tgname = '!rowhooks_update_' || t.id
    ) as has_lost_trigger
  from rowhooks.altered_relations() as a (objid)
  join pg_catalog.pg_class as c on c.oid = a.objid and c.relkind in ('r', 'p', 'f')
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join rowhooks.tracked_table as t on t.relation = c.oid and t.untracked_at is null
  left join lateral (
    select r.audit_receivers, r.always, r.capture
    from rowhooks.tracking_rule as r
    where rowhooks.matches_glob(pg_catalog.format('%s.%s', n.nspname, c.relname), r.pattern)
      and not c.relispartition
      and c.relpersistence <> 't'
      and n.nspname not in ('rowhooks', 'pg_catalog', 'information_schema')
      -- A table is tracked once it has a key. One that was untracked by hand stays untracked.
      and exists (select from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisprimary)
      and not exists (select from rowhooks.tracked_table as f where f.relation = c.oid)
    order by r.pattern
    limit 1
  ) as r on true
  where t.id is not null or r.always is not null
$$;

-- Purpose: bring the tracked tables up to date that the DDL command in hand has changed, and track new tables that a rule
--          means.
-- Returns: nothing
-- Reads:   rowhooks.tracked_table
-- Writes:  rowhooks.tracked_table, by rowhooks.refresh_table, rowhooks.track and rowhooks.untrack
create or replace function rowhooks.follow_ddl() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  target record;
begin
  for target in
    select t.* from rowhooks.tables_to_follow() as t
  loop
    begin
      if target.attached then
        -- From now on it is recorded as the partition that it has become.
        perform rowhooks.untrack(target.relation);
      elsif target.id is not null then
        if target.has_lost_trigger then
          update rowhooks.tracked_table as t set mark = null where t.id = target.id;
          perform rowhooks.make_triggers(target.relation, target.id);
          perform rowhooks.drop_statement_triggers(target.relation, target.id);
        end if;
        perform rowhooks.refresh_table(target.id);
        if target.must_lose_condition then
          perform rowhooks.track(
            t.relation, t.audit_receivers, identity => case when t.identity <> 'key' then t.key_columns::text[] end,
            -- Statement triggers cannot capture such a column.
            always => t.always, capture => case when t.capture = 'row' then 'row' else 'auto' end
          )
          from rowhooks.tracked_table as t where t.id = target.id;
        end if;
      else
        perform rowhooks.track(
          target.relation, target.audit_receivers, always => target.always, capture => target.capture
        );
      end if;
    exception when others then
      raise log 'rowhooks could not follow the change of %: %', target.relation, sqlerrm;
      -- Row triggers go on where the table is not what they were made for; statement triggers do not.
      perform rowhooks.leave_statement_form(target.id);
    end;
  end loop;
  perform rowhooks.leave_unsafe_statement_forms();
end
$$;

-- Purpose: mark the entries of tracked tables that the DDL command in hand has dropped, and drop their capture functions.
--          Their history stays.
-- Returns: nothing
-- Writes:  rowhooks.tracked_table
create or replace function rowhooks.forget_dropped() returns void
language plpgsql
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
      perform rowhooks.drop_capture(gone);
    exception when others then
      raise log 'rowhooks could not forget tracked table %: %', gone, sqlerrm;
    end;
  end loop;
  perform rowhooks.leave_unsafe_statement_forms();
end
$$;
