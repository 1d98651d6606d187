-- What a session that presses buttons asks about them. Its search_path is its own.

-- name: is_installed
-- Whether rowhooks is installed in a release that has buttons.
select pg_catalog.to_regclass(cast('rowhooks.press' as pg_catalog.text)) is not null;

-- name: inputs_schema
-- What the job of a button takes.
select b.inputs_schema from rowhooks.buttons as b
where b.name = cast($1 as text)
limit 1;

-- name: names
-- The buttons that the role sees.
select distinct b.name from rowhooks.buttons as b order by b.name;

-- name: tables
-- The tables that the role may read.
select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f') and n.nspname not in ('pg_catalog', 'information_schema', 'rowhooks')
  and pg_catalog.has_schema_privilege(n.oid, 'USAGE') and pg_catalog.has_table_privilege(c.oid, 'SELECT')
order by 1;

-- name: is_table
select pg_catalog.to_regclass(cast($1 as pg_catalog.text)) is not null as is_so;
