-- What a session that presses buttons asks about them. Its search_path is its own.

-- name: is_installed
-- Whether rowhooks is installed in a release that has buttons.
select pg_catalog.to_regclass(cast('rowhooks.press' as pg_catalog.text)) is not null;

-- name: query_of_row
-- The query that reads a row of a table by its key ($1, the key's columns as JSON), with the names of those columns.
-- The table is the root where it is a partition. The server writes names and types as SQL needs them.
select
  c.oid,
  array_agg(a.attname::text order by k.position) as names,
  format(
    'select t.* from %I.%I as t join jsonb_to_record(cast($1 as jsonb)) as k (%s) on %s', n.nspname, c.relname,
    string_agg(format('%I %s', a.attname, format_type(a.atttypid, -1)), ', ' order by k.position),
    string_agg(format('t.%1$I = k.%1$I', a.attname), ' and ' order by k.position)
  ) as query
from (select cast(cast(:table as text) as regclass) as given) as g
join pg_class as c on c.oid = coalesce(pg_partition_root(g.given), g.given)
join pg_namespace as n on n.oid = c.relnamespace
join pg_index as i on i.indrelid = c.oid and i.indisprimary
cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
where k.position <= i.indnkeyatts
group by n.nspname, c.relname, c.oid;

-- name: buttons
-- The buttons of a table.
select b.* from rowhooks.buttons as b
where b.relation = cast(:relation as oid);

-- name: inputs_schema
-- What the job of a button takes.
select b.inputs_schema from rowhooks.buttons as b
where b.name = cast($1 as text)
limit 1;
