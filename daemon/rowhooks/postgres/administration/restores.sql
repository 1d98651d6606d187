-- What a restored dump leaves beside an installation.

-- name: stray_triggers
-- Triggers of another installation. A capture function does nothing for a table other than its own and its partitions. A
-- trigger that has the name of the table's own trigger and calls another function is reported as altered.
select
  format('%I.%I', n.nspname, c.relname) as name,
  format('drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname) as statement,
  (
    select count(*) > 0
    from rowhooks.tracked_table as k
    where k.relation = c.oid and k.untracked_at is null
  ) as is_tracked
from pg_trigger as t
join pg_class as c on c.oid = t.tgrelid
join pg_namespace as n on n.oid = c.relnamespace
where {is_our_trigger}
  and not exists (
    select from rowhooks.tracked_table as k
    where k.untracked_at is null and t.tgname ~ concat('_', k.id, '$')
      and (
        k.relation = c.oid
        or exists (select from pg_partition_ancestors(c.oid) as a where a.relid = k.relation)
      )
  )
order by name, statement;
