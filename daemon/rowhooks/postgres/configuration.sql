-- Jobs, hooks, buttons and tracked tables.

-- name: load
-- The configuration as one JSON document. One statement, so one snapshot: the version fits what is beside it.
-- The keys of tables are as they are now: a column may have been renamed since the table was tracked.
select json_build_object(
  'version', rowhooks.configuration_version(),
  'notify', (select i.notify from rowhooks.installation as i),
  'tables', (
    select coalesce(json_agg(json_build_object(
      'id', t.id,
      'repr_column', t.repr_column,
      'identity', t.identity,
      {description},
      'key', (
        select coalesce(json_agg(
          json_build_array(quote_ident(k.name), k.name, format_type(a.atttypid, a.atttypmod)) order by k.place
        ), '[]')
        from rowhooks.present_key_columns(t.id) as k
        join pg_attribute as a on a.attrelid = r.oid and a.attnum = k.number
      ),
      'former_key', (
        select coalesce(json_agg(json_build_array(f.name, k.name)), '[]')
        from (
          select o.name, o.number::smallint from jsonb_each_text(t.former_keys) as o (name, number)
          union
          select o.name, o.number
          from unnest(t.key_columns, t.key_numbers) as o (name, number)
        ) as f
        join rowhooks.present_key_columns(t.id) as k on k.number = f.number and k.name <> f.name
      ),
      'loose_key', (
        select coalesce(json_object_agg(k.name, l.how), json_build_object())
        from rowhooks.present_key_columns(t.id) as k
        join pg_attribute as a on a.attrelid = r.oid and a.attnum = k.number
        left join pg_collation as c on c.oid = a.attcollation
        cross join lateral (
          with recursive base as (
            select y.oid, y.typbasetype, y.typname, y.typelem from pg_type as y where y.oid = a.atttypid
            union all
            select y.oid, y.typbasetype, y.typname, y.typelem
            from base as b
            join pg_type as y on y.oid = b.typbasetype or (b.typbasetype = 0 and y.oid = b.typelem)
          )
          select case
            when not coalesce(c.collisdeterministic, true) then 'text'
            when bool_or(b.oid = 'interval'::regtype) then 'any'
            when bool_or(b.oid = 'bpchar'::regtype or b.typname = 'citext') then 'text'
            when bool_or(b.oid = 'numeric'::regtype and a.atttypmod = -1 or b.oid = 'jsonb'::regtype) then 'number'
          end as how
          from base as b
        ) as l
        where l.how is not null
      )
    )), '[]')
    from rowhooks.tracked_table as t
    join pg_class as r on r.oid = t.relation
    join pg_namespace as n on n.oid = r.relnamespace
    -- Of one that was untracked, and tracked again, the log may still hold changes that start something.
    where t.untracked_at is null or t.id in (select m.id from rowhooks.table_meant as m)
  ),
  'jobs', ({jobs}),
  'hooks', ({hooks}),
  'buttons', (
    select coalesce(
      json_agg(json_build_object('id', b.id, 'name', b.name, 'job', b.job_id, 'queue', b.queue) order by b.id), '[]'
    )
    from rowhooks.job_button as b
  )
);

-- name: jobs
-- The jobs, as a JSON array.
select coalesce(json_agg(json_build_object(
  'id', j.id, 'class_path', j.class_path, 'name', j.name, 'enabled', j.enabled, 'installed', j.installed,
  'enabled_since', j.enabled_since::text,
  'sensitive', j.meta -> 'has_sensitive_variables' is not distinct from 'true'
)), '[]')
from rowhooks.job as j;

-- name: hooks
-- The hooks, as a JSON array.
select coalesce(json_agg(json_build_object(
  'id', h.id, 'name', h.name, 'job', h.job_id, 'enabled', h.enabled, 'enabled_since', h.enabled_since::text,
  'tables', (
    select coalesce(json_agg(distinct m.id), '[]')
    from rowhooks.table_meant as m
    where m.kind = 'hook' and m.owner_id = h.id
  ),
  'names', (
    select coalesce(json_object_agg(n.id, n.names), '{}')
    from (
      select m.id, json_object_agg(k.name, a.attname) as names
      from rowhooks.job_hook_table as x
      join rowhooks.tracked_table as t on t.id = x.tracked_table_id
      join rowhooks.table_meant as m on m.kind = 'hook' and m.owner_id = h.id and m.named_id = t.id
      join rowhooks.tracked_table as o on o.id = m.id and o.relation = t.relation
      cross join jsonb_each_text(x.numbers) as k (name, number)
      join pg_attribute as a
        on a.attrelid = t.relation and a.attnum = k.number::smallint and not a.attisdropped and a.attname <> k.name
      where x.job_hook_id = h.id
      group by m.id
    ) as n
  ),
  'create', h.type_create, 'update', h.type_update, 'delete', h.type_delete,
  'columns', h.columns, 'ignored_columns', h.ignored_columns,
  'conditions', h.conditions::text, 'on_undecided', h.on_undecided, 'queue', h.queue
) order by h.id), '[]')
from rowhooks.job_hook as h;

-- noqa: disable=PRS

-- name: description
-- What describes a table, as arguments of json_build_object: `r` is pg_class, `n` is its pg_namespace. The server quotes
-- every name; with PINNED, format_type and %I write names so that they mean the same in any session.
'schema', n.nspname,
'table', r.relname,
'quoted_name', format('%I.%I', n.nspname, r.relname),
'relation', r.oid::bigint,
'columns', (
  select coalesce(json_agg(json_build_array(a.attname, a.atttypid::bigint) order by a.attnum), '[]')
  from pg_attribute as a
  where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
);
