-- name: tables
-- Tables by the names that the server has quoted, with the types of their columns.
select
  n.nspname::text as schema,
  c.relname::text as name,
  c.oid as relation,
  c.relkind = 'f' as is_foreign,
  (
    select json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))
    from pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ) as types
from unnest($1::text[]) with ordinality as t (quoted, place)
join pg_class as c on c.oid = t.quoted::regclass
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'f')
order by t.place;

-- name: identities
-- The columns by which rowhooks tells rows apart, of tables with columns named by hand.
select k.schema_name::text as schema, k.table_name::text as name, k.key_columns::text[] as columns
from rowhooks.tracked_table as k
where k.untracked_at is null and k.identity = 'columns';

-- name: is_readable
-- Whether this login can read what rowhooks knows of tables; a database without rowhooks has stubs too.
select coalesce(
  (
    select has_schema_privilege(c.relnamespace, 'usage') and has_table_privilege(c.oid, 'select')
    from pg_class as c
    where c.oid = to_regclass('rowhooks.tracked_table')
  ),
  false
) as is_so;

-- name: types_elsewhere
-- Types that SQLAlchemy knows by their bare names, in the schemas where extensions have put them.
select t.typname::text as name, format_type(t.oid, null) as qualified
from pg_type as t
join pg_depend as d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
join pg_namespace as n on n.oid = t.typnamespace
where n.nspname <> 'pg_catalog' and t.typname::text = any($1::text[]);
