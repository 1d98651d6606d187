-- name: table
-- A table by the name that the server has quoted: its key, its columns with what a value for them must be, and the
-- foreign keys of columns that a row cannot do without.
select
  n.nspname::text as schema,
  c.relname::text as name,
  pg_get_userbyid(c.relowner)::text as owner,
  case
    when c.relkind in ('v', 'm') then 'a view'
    when c.relkind not in ('r', 'p', 'f') then 'not a table'
    when c.relpersistence = 't' then 'a temporary table'
    when n.nspname in ('rowhooks', 'pg_catalog', 'information_schema') then 'a table of rowhooks or of PostgreSQL itself'
    when c.relispartition then 'a partition'
  end as wrong_kind,
  case when c.relispartition then (
    select format('%I.%I', rn.nspname, rc.relname)
    from pg_class as rc
    join pg_namespace as rn on rn.oid = rc.relnamespace
    where rc.oid = pg_partition_root(c.oid)
  ) end as root,
  coalesce((
    select array_agg(a.attname::text order by k.position)
    from pg_index as i
    cross join unnest(i.indkey::smallint[]) with ordinality as k (number, position)
    join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.number
    where i.indrelid = c.oid and i.indisprimary and k.position <= i.indnkeyatts
  ), '{}') as key,
  (
    select json_agg(json_build_object(
      'name', a.attname,
      'type', format_type(coalesce(nullif(y.typbasetype, 0), y.oid), null),
      'category', b.typcategory,
      'length', greatest(a.atttypmod, y.typtypmod) - 4,
      'labels', coalesce(
        (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum as e where e.enumtypid = b.oid),
        -- check (status in ('active', 'planned'))
        (
          select json_agg(replace(l.label[1], '''''', '''') order by l.place)
          from pg_constraint as k
          cross join regexp_matches(pg_get_constraintdef(k.oid), '''((?:[^'']|'''')*)''::', 'g')
            with ordinality as l (label, place)
          where k.conrelid = c.oid and k.contype = 'c' and k.conkey = array[a.attnum] and b.typcategory = 'S'
            and strpos(pg_get_constraintdef(k.oid), '= ANY (') > 0
        )
      ),
      'is_needed', (a.attnotnull or y.typnotnull) and not a.atthasdef and a.attidentity = '' and y.typdefault is null,
      'is_generated', a.attgenerated <> '' or a.attidentity <> ''
    ) order by a.attnum)
    from pg_attribute as a
    join pg_type as y on y.oid = a.atttypid
    join pg_type as b on b.oid = coalesce(nullif(y.typbasetype, 0), y.oid)
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ) as columns,
  coalesce((
    select json_agg(json_build_object(
      'table', format('%I.%I', rn.nspname, rc.relname),
      'columns', (
        select json_agg(a.attname order by k.position)
        from unnest(f.conkey) with ordinality as k (number, position)
        join pg_attribute as a on a.attrelid = f.conrelid and a.attnum = k.number
      ),
      'referred', (
        select json_agg(a.attname order by k.position)
        from unnest(f.confkey) with ordinality as k (number, position)
        join pg_attribute as a on a.attrelid = f.confrelid and a.attnum = k.number
      )
    ) order by f.conname)
    from pg_constraint as f
    join pg_class as rc on rc.oid = f.confrelid
    join pg_namespace as rn on rn.oid = rc.relnamespace
    where f.conrelid = c.oid and f.contype = 'f' and f.conparentid = 0
  ), '[]') as foreign_keys
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = $1::regclass;

-- name: identity
-- What tells the rows of a table apart that is tracked: key, columns or full.
select k.identity, k.key_columns::text[] as columns
from rowhooks.tracked_table as k
where k.untracked_at is null and k.relation = $1::regclass;

-- name: is_readable
-- Whether this login can read which tables are tracked; a table without rowhooks has an outline too.
select coalesce(
  (
    select has_schema_privilege(c.relnamespace, 'usage') and has_table_privilege(c.oid, 'select')
    from pg_class as c
    where c.oid = to_regclass('rowhooks.tracked_table')
  ),
  false
) as is_so;
