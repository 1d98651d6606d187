-- What the demo asks the database. The statements that its page shows are written as a reader would type them.

-- name: shown_tables
select
  (select count(*) from dcim.site) as sites,
  (select count(*) from dcim.device) as devices,
  (select count(*) from rowhooks.changes) as changes;

-- name: shown_change
select action, object_type, object_repr, db_user, user_name
from rowhooks.changes
order by id desc
limit 1;

-- name: shown_runs
select
  j.name as job,
  r.status,
  round(1000 * extract(epoch from r.started_at - pg_xact_commit_timestamp(c.transaction_id::xid)), 1)
    as ms_after_commit,
  (
    select string_agg(l.level || ': ' || l.message, ', ')
    from rowhooks.job_log_entry as l
    where l.job_result_id = r.id
  ) as log
from rowhooks.results as r
join rowhooks.job as j on j.class_path = r.class_path
join rowhooks.changes as c on c.id = r.object_change_id
where c.id = (select max(id) from rowhooks.changes)
order by r.started_at;

-- name: shown_numbers
select
  j.name as job,
  r.status,
  count(*) as runs,
  round(1000 * extract(epoch from percentile_cont(0.5) within group (
    order by r.started_at - pg_xact_commit_timestamp(c.transaction_id::xid)
  )), 1) as median_ms_after_commit
from rowhooks.results as r
join rowhooks.job as j on j.class_path = r.class_path
join rowhooks.changes as c on c.id = r.object_change_id
group by j.name, r.status
order by j.name;

-- name: owed
-- What the hooks ask for because of the changes of a user, or of all, and beside it what became of it.
select
  count(distinct c.id) as changes,
  count(h.id) as due,
  count(r.id) as recorded,
  count(r.id) filter (where r.status = 'SUCCESS') as succeeded,
  count(h.id) > 0 and bool_and(h.id is null or coalesce(r.status = 'SUCCESS', false)) as is_paid
from rowhooks.object_change as c
left join rowhooks.job_hook_table as t on t.tracked_table_id = c.tracked_table
left join rowhooks.job_hook as h
  on h.id = t.job_hook_id
  and case c.action when 'create' then h.type_create when 'update' then h.type_update else h.type_delete end
left join rowhooks.job_result as r on r.object_change_id = c.id and r.job_hook_id = h.id
where $1::text is null or c.user_name = $1;

-- name: serial_and_writer
select
  d.serial,
  d.xmin::text as writer,
  exists(select from rowhooks.changes as c where c.transaction_id::xid = d.xmin) as is_logged
from dcim.device as d
where d.name = 'ams1-rtr01';

-- name: write_devices
insert into dcim.device (site_id, name, serial)
select 1 + n % 4, format('new-%s-%s', $1::integer, n), concat('SN-', 300000 + 100 * $1 + n)
from generate_series(1, $2::integer) as n;

-- name: move_devices
update dcim.device
set site_id = site_id + 1
where starts_with(name, format('new-%s-', $1::integer)) and id % 2 = 0;

-- name: wrong_counts
select s.name
from dcim.site as s
where s.device_count <> (select count(*) from dcim.device as d where d.site_id = s.id);

-- name: undecided
select c.id from rowhooks.changes as c where c.user_name = 'undecided'
union all
select r.id from rowhooks.results as r where r.user_name = 'undecided';

-- name: settled
select f.target is null
  and not exists (
    select from rowhooks.object_change as c where not pg_visible_in_snapshot(c.transaction_id, f.snapshot)
  )
  and not exists (select from rowhooks.job_result as r where r.finished_at is null) as is_so
from rowhooks.feed as f;

-- name: three_jobs
select count(*) = 3 as is_so
from rowhooks.job as j
where j.installed and not j.enabled and j.kind = 'hook';
