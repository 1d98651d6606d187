-- name: run
-- A run with what is known of its job and of its table.
select
  r.*,
  coalesce(j.meta -> 'has_sensitive_variables' = 'true', false) as is_sensitive,
  t.identity,
  t.key_columns::text[] as key_columns,
  c.oid as relation
from rowhooks.visible_results as r
left join rowhooks.job as j on r.class_path = j.class_path
left join rowhooks.tracked_table as t on r.tracked_table = t.id
left join pg_class as c on t.relation = c.oid
where r.id = $1;

-- name: columns
-- The columns of a table: whether a row that is inserted may name them, whether it must, and whether they are text.
select
  a.attname::text as name,
  a.attgenerated <> '' as is_generated,
  a.attnotnull and not a.atthasdef and a.attidentity = '' as is_needed,
  y.typcategory = 'S' as is_text
from pg_attribute as a
inner join pg_type as y on a.atttypid = y.oid
where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
order by a.attnum;

-- name: references
-- The foreign keys of a table: its columns, the table that they refer to, and the columns there.
select
  array(
    select a.attname::text
    from unnest(k.conkey) with ordinality as c (number, position)
    inner join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = c.number
    order by c.position
  ) as columns,
  array(
    select a.attname::text
    from unnest(k.confkey) with ordinality as c (number, position)
    inner join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = c.number
    order by c.position
  ) as referred,
  r.oid as relation,
  n.nspname::text as schema_name,
  r.relname::text as table_name
from pg_constraint as k
inner join pg_class as r on k.confrelid = r.oid
inner join pg_namespace as n on r.relnamespace = n.oid
where k.contype = 'f' and k.conrelid = $1::oid and k.conparentid = 0
order by k.conname;

-- name: permissions
-- What a role may do with a table, in the words of permissions; no row where there is no such role.
select p.word
from (
  values ('view', 'SELECT'), ('add', 'INSERT'), ('change', 'UPDATE'), ('delete', 'DELETE')
) as p (word, privilege)
inner join pg_roles as o on o.rolname = $1::text
inner join pg_class as r on r.oid = $2::oid
where has_table_privilege(o.oid, r.oid, p.privilege) and has_schema_privilege(o.oid, r.relnamespace, 'USAGE');
