-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: found_by_path
-- The tables that bare names mean in this session, in the order of the names.
select m.name, n.nspname::pg_catalog.text as schema
from pg_catalog.unnest(cast(:names as pg_catalog.text[])) with ordinality as m (name, place)
left join
  pg_catalog.pg_class as c
  on c.oid operator(pg_catalog.=) pg_catalog.to_regclass(pg_catalog.quote_ident(m.name))::pg_catalog.oid
left join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) c.relnamespace
order by m.place;

-- name: present
-- Which of these tables there are.
select n.nspname::pg_catalog.text as schema, c.relname::pg_catalog.text as name
from pg_catalog.unnest(cast(:schemas as pg_catalog.text[])) with ordinality as m (schema, place)
inner join
  pg_catalog.unnest(cast(:names as pg_catalog.text[])) with ordinality as o (name, place)
  on o.place operator(pg_catalog.=) m.place
inner join
  pg_catalog.pg_namespace as n
  on n.nspname::pg_catalog.text operator(pg_catalog.=) m.schema
inner join
  pg_catalog.pg_class as c
  on c.relnamespace operator(pg_catalog.=) n.oid and c.relname::pg_catalog.text operator(pg_catalog.=) o.name;
