-- What the pages of buttons ask.

-- name: list
-- A page of buttons in the order of a page, behind the button with the id $1; $2 of them at most.
select b.*
from ({buttons_and_jobs}) as b
where $1::integer is null or (b.group_name, b.weight, b.name) > (
  select o.group_name, o.weight, o.name from rowhooks.job_button as o where o.id = $1
)
order by b.group_name, b.weight, b.name
limit $2;

-- name: is_there
select from rowhooks.job_button as o where o.id = $1;

-- name: find
select b.* from ({buttons_and_jobs}) as b
where b.name = $1;

-- name: buttons_and_jobs
-- Buttons with what decides whether they start anything, what a press gives, and whether the asking role may press them.
select
  b.*,
  j.name as job_name,
  j.installed,
  j.description as job_description,
  j.inputs_schema,
  rowhooks.may_press(current_user, b.roles, (select i.daemon_role from rowhooks.installation as i)) as may_press
from ({buttons}) as b
join rowhooks.job as j on j.class_path = b.job;
