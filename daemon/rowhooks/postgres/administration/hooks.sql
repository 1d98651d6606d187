-- name: hooks
select
  o.id,
  o.name,
  j.class_path as job,
  o.enabled,
  j.enabled as job_enabled,
  array_remove(array[
    case when o.type_create then 'create' end, case when o.type_update then 'update' end,
    case when o.type_delete then 'delete' end
  ], null) as actions,
  array({tables}) as tables,
  array(
    select m.name from ({missing_tables}) as m
    union
    select w.name from unnest(o.waits_for) as w (name)
    order by 1
  ) as waits_for,
  o.columns,
  o.ignored_columns,
  o.conditions,
  o.on_undecided,
  o.queue,
  o.declared
from rowhooks.job_hook as o
join rowhooks.job as j on j.id = o.job_id;

-- name: list
select h.* from ({hooks}) as h
order by h.name;

-- name: find
select h.* from ({hooks}) as h
where h.name = $1;

-- name: held
-- Names by which one of a hook's tables calls a column that was called so when the hook asked for it.
select a.attname::text as name
from rowhooks.job_hook_table as x
join rowhooks.tracked_table as t on t.id = x.tracked_table_id
join pg_attribute as a
  on a.attrelid = t.relation and a.attnum = (x.numbers ->> a.attname)::smallint and not a.attisdropped
where x.job_hook_id = $1;
