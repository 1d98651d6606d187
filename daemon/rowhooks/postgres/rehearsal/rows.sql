-- name: describe
-- What a table is, as read_table() wants it, and whether rowhooks could track it.
select json_build_object(
  'id', r.oid::bigint,
  'repr_column', pg_temp.rowhooks_repr(r.oid),
  'kind', r.relkind,
  'persistence', r.relpersistence,
  'root', (
    select json_build_array(rn.nspname, rc.relname)
    from pg_class as rc
    inner join pg_namespace as rn on rc.relnamespace = rn.oid
    where r.relispartition and rc.oid = pg_partition_root(r.oid)
  ),
  'types', (
    select json_object_agg(a.attname, format_type(a.atttypid, -1))
    from pg_attribute as a
    where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  ),
  {description},
  'key', (
    select coalesce(json_agg(
      json_build_array(quote_ident(a.attname), a.attname, format_type(a.atttypid, a.atttypmod)) order by k.position
    ), '[]')
    from unnest(pg_temp.rowhooks_key(r.oid)) with ordinality as k (name, position)
    inner join pg_attribute as a on r.oid = a.attrelid and k.name = a.attname
    where not a.attisdropped
  )
)
from pg_class as r
inner join pg_namespace as n on r.relnamespace = n.oid
where
  n.nspname = $1 and r.relname = $2
  and r.relkind in ('r', 'p', 'v', 'm', 'f');

-- name: changes
-- The changes after one, in order. A table is named as the daemon names it: as it is called now.
select
  {columns},
  n.nspname::text as schema_name,
  r.relname::text as table_name
from pg_temp.rowhooks_change as c
left join pg_class as r on c.tracked_table::oid = r.oid
left join pg_namespace as n on r.relnamespace = n.oid
where c.id > $1
order by c.id;

-- name: identify
-- Tells the rows of a table apart by these columns from now on, by none where the list is empty.
insert into pg_temp.rowhooks_identity (relation, columns)
values ($1, $2)
on conflict (relation) do update set columns = excluded.columns;

-- name: identify_by_key
-- Tells the rows of a table apart by its primary key again.
delete from pg_temp.rowhooks_identity as y where y.relation = $1;

-- name: last_change
select coalesce(max(c.id), 0) from pg_temp.rowhooks_change as c;
