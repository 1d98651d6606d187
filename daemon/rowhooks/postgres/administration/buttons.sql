-- name: buttons
select
  o.id,
  o.name,
  j.class_path as job,
  o.enabled,
  j.enabled as job_enabled,
  o.text,
  o.group_name,
  o.weight,
  o.button_class,
  o.confirmation,
  o.roles,
  o.queue,
  array({tables}) as tables,
  array(select m.name from ({missing_tables}) as m order by 1) as waits_for
from rowhooks.job_button as o
join rowhooks.job as j on j.id = o.job_id;

-- name: list
select b.* from ({buttons}) as b
order by b.group_name, b.weight, b.name;

-- name: find
select b.* from ({buttons}) as b
where b.name = $1;
