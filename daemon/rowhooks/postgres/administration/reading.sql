-- name: by_id
select
  {columns},
  {table_name}
from rowhooks.object_change as c
join rowhooks.tracked_table as t on t.id = c.tracked_table
where c.id = any($1::bigint[])
order by c.id;

-- name: table_of
select {table_name}
from rowhooks.object_change as c
join rowhooks.tracked_table as t on t.id = c.tracked_table
where c.id = $1;

-- noqa: disable=PRS
-- name: table_name
-- As the daemon names a table: as it is called now, where it still exists.
coalesce(
  (
    select rowhooks.qualified_name(n.nspname, r.relname)
    from pg_class as r
    join pg_namespace as n on n.oid = r.relnamespace
    where r.oid = t.relation
  ),
  rowhooks.qualified_name(t.schema_name, t.table_name)
)
