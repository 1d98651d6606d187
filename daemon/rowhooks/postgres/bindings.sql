-- What hooks and buttons are bound to.
-- noqa: disable=AL04,AM03

-- name: owners
-- The enabled hooks and buttons with what they name and what that is now, as one JSON document.
-- The numbers of columns mean nothing in a table that was created again.
select coalesce(json_agg(json_build_object(
  'kind', o.kind, 'name', o.name, 'job', j.class_path, 'declared', o.declared, 'columns', o.columns,
  'conditions', o.conditions::text, 'text', o.text,
  'waits_for', (
    select coalesce(json_agg(json_build_object('name', w.name, 'quoted', (
      select format('%I.%I', n.nspname, c.relname) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
      where rowhooks.qualified_name(n.nspname, c.relname) = w.name and c.relkind in ('r', 'p', 'f')
      limit 1
    )) order by w.name), '[]')
    from unnest(o.waits_for) as w (name)
  ),
  'links', (
    select coalesce(json_agg(json_build_object(
      'given', format('%I.%I', x.schema_name, x.table_name),
      'plain', rowhooks.qualified_name(x.schema_name, x.table_name),
      'last', format('%I.%I', t.schema_name, t.table_name),
      'options', {options} || {left_out_of_namesake},
      'table', case when c.oid is not null then {table} end,
      'namesake', (
        select {table}
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        where c.oid = s.oid and c.relkind in ('r', 'p', 'f')
      ),
      'last_exists', exists (select from pg_class as l where l.oid = t.relation),
      'excluded', coalesce(p.excluded_columns, '{}'),
      'ignored', coalesce(p.ignored_columns, '{}'),
      'columns', (
        select coalesce(json_object_agg(a.attname, a.attnum), '{}') from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      ),
      'numbers', case when p.relation = t.relation then x.numbers else '{}' end
    ) order by t.schema_name, t.table_name, x.tracked_table_id), '[]')
    from (
      select h.tracked_table_id, h.schema_name, h.table_name, h.numbers
      from rowhooks.job_hook_table as h where o.kind = 'hook' and h.job_hook_id = o.id
      union all
      select b.tracked_table_id, b.schema_name, b.table_name, b.numbers
      from rowhooks.job_button_table as b where o.kind = 'button' and b.job_button_id = o.id
    ) as x
    join rowhooks.tracked_table as t on t.id = x.tracked_table_id
    left join rowhooks.table_meant as m
      on m.kind = o.kind and m.owner_id = o.id and m.named_id = x.tracked_table_id and m.is_present
    left join rowhooks.tracked_table as p on p.id = m.id
    left join pg_class as c on c.oid = p.relation
    left join pg_namespace as n on n.oid = c.relnamespace
    cross join lateral (
      select coalesce(
        {namesake}, {last_namesake}
      ) as oid
    ) as s
  )
) order by o.kind desc, o.name), '[]')::text
from (
  select 'hook' as kind, h.id, h.name, h.job_id, h.declared, h.columns, h.conditions, null as text, h.waits_for
  from rowhooks.job_hook as h where h.enabled
  union all
  select 'button', b.id, b.name, b.job_id, false, '{}', null, b.text, '{}'
  from rowhooks.job_button as b where b.enabled
) as o
join rowhooks.job as j on j.id = o.job_id;

-- name: detached
-- Partitions that a table was seen with and that are captured no more: neither a tracked table, nor a partition of one.
select
  format('%I.%I', n.nspname, c.relname), format('%I.%I', r.nspname, p.relname),
  {options} || {left_out}, {options}
from rowhooks.tracked_table as t
cross join unnest(t.partitions) as x (oid)
join pg_class as c on c.oid = x.oid
join pg_namespace as n on n.oid = c.relnamespace
join pg_class as p on p.oid = t.relation
join pg_namespace as r on r.oid = p.relnamespace
where t.untracked_at is null and not exists (
  select from rowhooks.tracked_table as i
  where i.untracked_at is null
    and (i.relation = c.oid or i.relation in (select a.relid from pg_partition_ancestors(c.oid) as a))
)
order by 1;

-- name: is_any_to_relink
-- Whether anything is on a table that was tracked again since.
select exists(
  select from rowhooks.table_meant as m
  where m.is_present and m.id <> m.named_id
);

-- name: relink
-- Puts hooks, or buttons, on the tables that they name and that were tracked again, unless another link of theirs does so.
update rowhooks.job_{kind}_table as x
set tracked_table_id = m.id
from rowhooks.table_meant as m
join rowhooks.job_{kind} as o on o.id = m.owner_id
join rowhooks.tracked_table as t on t.id = m.id
where m.kind = '{kind}' and m.is_present and m.id <> m.named_id
  and x.job_{kind}_id = m.owner_id and x.tracked_table_id = m.named_id
  and not exists (
    select from rowhooks.table_meant as other
    where other.kind = m.kind and other.owner_id = m.owner_id and other.id = m.id and other.is_present
      and (other.named_id = m.id or other.named_id < m.named_id)
  )
returning o.name, rowhooks.qualified_name(t.schema_name, t.table_name);

-- noqa: disable=PRS

-- name: table
-- A table `c`, of a schema `n`, as a link meets it.
  json_build_object(
  'name', format('%I.%I', n.nspname, c.relname),
  'relation', c.oid::bigint,
  'kind', c.relkind,
  'tracked', exists (
    select from rowhooks.tracked_table as i where i.relation = c.oid and i.untracked_at is null
  ),
  'root', case when c.relispartition then (
    select json_build_object('name', format('%I.%I', m.nspname, r.relname), 'tracked', exists (
      select from rowhooks.tracked_table as i where i.relation = r.oid and i.untracked_at is null
    ))
    from pg_partition_ancestors(c.oid) as a
    join pg_class as r on r.oid = a.relid and not r.relispartition
    join pg_namespace as m on m.oid = r.relnamespace
  ) end
);
