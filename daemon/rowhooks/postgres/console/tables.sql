-- name: tables
-- What the asking role may select anything from: those with rowhooks' triggers first. A page of them, and one more.
select
  rowhooks.qualified_name(c.schema_name, c.relname) as name,
  c.kind,
  c.is_tracked,
  left(obj_description(c.oid, 'pg_class'), 100) as comment,
  case
    -- ANALYZE leaves no estimate on a partitioned table that nobody has analysed by hand.
    when c.kind = 'p' then (
      select nullif(sum(greatest(l.reltuples, 0)), 0)::bigint
      from pg_partition_tree(c.oid) as p
      join pg_class as l on l.oid = p.relid
      where p.isleaf
    )
    when c.kind <> 'v' and c.reltuples >= 0 then c.reltuples::bigint
  end as estimated_rows
from (
  select
    c.oid,
    n.nspname as schema_name,
    c.relname,
    c.relkind::text as kind,
    c.reltuples,
    c.oid in (
      select g.tgrelid
      from pg_trigger as g
      join pg_proc as f on f.oid = g.tgfoid
      where f.pronamespace = 'rowhooks'::regnamespace
    ) as is_tracked
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  where not c.relispartition and {is_shown}
    and ($1::text = '' or strpos(lower(concat(n.nspname, '.', c.relname)), lower($1)) > 0)
  order by is_tracked desc, n.nspname asc, c.relname asc
  limit $2 offset $3
) as c
order by c.is_tracked desc, c.schema_name asc, c.relname asc;

-- noqa: disable=PRS
-- name: is_shown
-- The tables and views of users that the asking role may select something from; c is pg_class, n its pg_namespace.
c.relkind in ('r', 'p', 'f', 'v', 'm')
  and n.nspname not in ('pg_catalog', 'information_schema', 'rowhooks')
  and not starts_with(n.nspname::text, 'pg_')
  and has_schema_privilege(n.oid, 'USAGE')
  and has_any_column_privilege(c.oid, 'SELECT')
