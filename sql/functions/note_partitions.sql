-- Purpose: note the partitions that tracked tables have now.
-- Returns: nothing
-- Writes:  rowhooks.tracked_table, where there are new ones
-- It passes over an entry that another open transaction has locked, until the next time, and waits for none.
create or replace function rowhooks.note_partitions() returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  with recursive part (id, child) as (
    select t.id, i.inhrelid
    from rowhooks.tracked_table as t
    join pg_catalog.pg_class as c on c.oid = t.relation and c.relkind = 'p'
    join pg_catalog.pg_inherits as i on i.inhparent = t.relation
    where t.untracked_at is null
    union
    select p.id, i.inhrelid from part as p join pg_catalog.pg_inherits as i on i.inhparent = p.child
  ),
  present as (
    select p.id, pg_catalog.array_agg(p.child order by p.child) as partitions from part as p group by p.id
  ),
  incomplete as materialized (
    select t.id, p.partitions
    from rowhooks.tracked_table as t
    join present as p on p.id = t.id and not t.partitions operator(pg_catalog.@>) p.partitions
    for no key update of t skip locked
  )
  update rowhooks.tracked_table as t
  set partitions = array(
    select o.oid
    from (select x.oid from pg_catalog.unnest(t.partitions) as x (oid) union select pg_catalog.unnest(p.partitions)) as o (oid)
    join pg_catalog.pg_class as c on c.oid = o.oid
    order by 1
  )
  from incomplete as p
  where p.id = t.id
$$;
