-- What is tracked and what is configured, in one document. It also runs in the sessions of other programs, through
-- their drivers: so it has no parameters.

-- name: state
with link as (
  select 'hook' as kind, x.job_hook_id as owner_id, x.tracked_table_id, x.schema_name, x.table_name
  from rowhooks.job_hook_table as x
  union all
  select 'button' as kind, x.job_button_id as owner_id, x.tracked_table_id, x.schema_name, x.table_name
  from rowhooks.job_button_table as x
), place as (
  select
    l.kind, l.owner_id,
    pg_catalog.json_agg(pg_catalog.json_build_array(
      coalesce(n.nspname, l.schema_name), coalesce(c.relname, l.table_name)
    ) order by l.tracked_table_id) as tables
  from link as l
  left join rowhooks.table_meant as m
    on m.kind = l.kind and m.owner_id = l.owner_id and m.named_id = l.tracked_table_id and m.is_present
  left join rowhooks.tracked_table as t on t.id = m.id
  left join pg_catalog.pg_class as c on c.oid = t.relation
  left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  group by l.kind, l.owner_id
)
select pg_catalog.json_build_object(
  'tables', (
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'schema', n.nspname, 'name', c.relname, 'identity', t.identity, 'key', t.key_columns,
      'audit_receivers', t.audit_receivers, 'always', t.always, 'capture', t.capture,
      -- A column may have had other names.
      'exclude', array(
        select a.attname from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attnum = any(t.excluded_numbers) and not a.attisdropped order by a.attnum
      ),
      'ignore_columns', array(
        select a.attname from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attnum = any(t.ignored_numbers) and not a.attisdropped order by a.attnum
      )
    )), '[]')
    from rowhooks.tracked_table as t
    join pg_catalog.pg_class as c on c.oid = t.relation
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where t.untracked_at is null
  ),
  'future', (
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'pattern', r.pattern, 'audit_receivers', r.audit_receivers, 'always', r.always, 'capture', r.capture
    )), '[]')
    from rowhooks.tracking_rule as r
  ),
  'jobs', (
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'class_path', j.class_path, 'enabled', j.enabled, 'installed', j.installed
    )), '[]')
    from rowhooks.job as j
  ),
  'hooks', (
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', h.name, 'declared', h.declared, 'job', j.class_path, 'enabled', h.enabled,
      'actions', pg_catalog.array_remove(array[
        case when h.type_create then 'create' end, case when h.type_update then 'update' end,
        case when h.type_delete then 'delete' end
      ], null),
      'tables', (select p.tables from place as p where p.kind = 'hook' and p.owner_id = h.id),
      'columns', h.columns, 'ignored_columns', h.ignored_columns, 'conditions', h.conditions,
      'on_undecided', h.on_undecided, 'queue', h.queue
    )), '[]')
    from rowhooks.job_hook as h
    join rowhooks.job as j on j.id = h.job_id
  ),
  'buttons', (
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', b.name, 'job', j.class_path, 'enabled', b.enabled, 'text', b.text, 'group_name', b.group_name,
      'weight', b.weight, 'button_class', b.button_class, 'confirmation', b.confirmation, 'roles', b.roles,
      'queue', b.queue,
      'tables', (select p.tables from place as p where p.kind = 'button' and p.owner_id = b.id)
    )), '[]')
    from rowhooks.job_button as b
    join rowhooks.job as j on j.id = b.job_id
  )
)::pg_catalog.text;
