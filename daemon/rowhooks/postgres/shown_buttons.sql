-- The buttons of a row for a page. The session's search_path is its own: every name is qualified.

-- name: query_of_row
-- The query that reads a row of a table by its key, in two parts: the key's columns as JSON stand between them. With the
-- columns of the key, and those that hold JSON, which are read as text. The table is the root where it is a partition. The
-- server writes names as SQL needs them, and the values of the key are compared as by a press.
select
  c.oid as relation,
  k.names,
  coalesce(a.json_columns, cast('{}' as pg_catalog.text[])) as json_columns,
  pg_catalog.format(
    'select %s from %I.%I as t inner join lateral pg_catalog.jsonb_to_record(cast(', a.columns, n.nspname, c.relname
  ) as before,
  pg_catalog.format(' as pg_catalog.jsonb)) as k (%s) on %s', k.definitions, k.comparisons) as behind
from (select cast(cast({table} as pg_catalog.text) as pg_catalog.regclass) as given) as g
inner join pg_catalog.pg_class as c on c.oid = coalesce(pg_catalog.pg_partition_root(g.given), g.given)
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
cross join lateral rowhooks.key_to_find(c.oid) as k
cross join lateral (
  select
    pg_catalog.string_agg(
      pg_catalog.format(case when j.is_json then 'cast(t.%1$I as pg_catalog.text) as %1$I' else 't.%1$I' end, p.attname),
      ', ' order by p.attnum
    ) as columns,
    pg_catalog.array_agg(cast(p.attname as pg_catalog.text)) filter (where j.is_json) as json_columns
  from pg_catalog.pg_attribute as p
  cross join lateral (
    select rowhooks.base_type(p.atttypid) in (
      cast('pg_catalog.json' as pg_catalog.regtype), cast('pg_catalog.jsonb' as pg_catalog.regtype)
    ) as is_json
  ) as j
  where p.attrelid = c.oid and p.attnum > 0 and not p.attisdropped
) as a
where k.names is not null;

-- name: buttons
-- The buttons of a table.
select
  b.name,
  b.text,
  b.group_name,
  b.weight,
  b.button_class,
  b.confirmation,
  b.job,
  b.enabled,
  b.job_enabled,
  b.may_press,
  b.repr_column,
  cast(b.renamed_columns as pg_catalog.text) as renamed_columns,
  cast(b.inputs_schema as pg_catalog.text) as inputs_schema,
  cast(rowhooks.input_fields(b.inputs_schema) as pg_catalog.text) as input_fields
from rowhooks.buttons as b
where b.relation = cast(cast({relation} as pg_catalog.text) as pg_catalog.oid);
