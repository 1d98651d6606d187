-- Workers that are missing, or that are not as they should be. Each query returns sentences: what is wrong, then the way out
-- in one or more columns, as in doctor.sql.

-- name: queue_without_worker
-- What the leader hands to workers, and no worker takes. What was lost with its worker, or is to be retried, waits too.
select
  format(
    'queue %s: %s, so nothing starts of %s: %s', n.queue,
    case
      when n.served then 'none of its workers has ' || string_agg(distinct n.class_path, ', ' order by n.class_path)
      else 'no worker serves it'
    end,
    string_agg(concat(n.kind, ' ', n.name), ', ' order by n.kind desc, n.name asc),
    case sum(n.waiting) when 1 then '1 run waits' else sum(n.waiting) || ' runs wait' end
  ),
  case when n.served then 'give its workers the receivers that the leader has, and restart them; or another one: ' end,
  array['rowhooks', 'worker', '--queue', n.queue]
from (
  select
    o.*,
    exists(select from ({live}) as w where o.queue = any(w.queues)) as served,
    (
      select count(*)
      from rowhooks.job_result as r
      where r.status in ('PENDING', 'STARTED', 'RETRY') and not {is_kept} and r.leader_epoch is not null
        and (r.job_hook_id = o.hook_id or r.job_button_id = o.button_id)
    ) as waiting
  from ({handed_to_workers}) as o
  where not exists (
    select from ({live}) as w where o.queue = any(w.queues) and o.class_path = any(w.receivers)
  )
) as n
where {leads}
group by n.queue, n.served
order by 1;

-- name: silent_worker
-- What the leader takes for lost as soon as it looks.
select
  format('worker %s is connected, and was last heard of %s: it is stopped, cut off or overloaded', w.name,
    date_trunc('second', w.seen_at)),
  'end it, or let it go on, on its machine; to take it out: ',
  array['psql', '-c', format('delete from rowhooks.worker where id = %L', w.id)]
from rowhooks.worker as w
where {is_connected} and not {is_heard_of}
order by w.name, w.id;

-- name: other_code
-- Workers with the same receivers that share a queue have the same code, but for one that was not restarted.
select
  format(
    'workers of queue %s have code of different versions: %s', v.queue,
    string_agg(concat(v.code_version, ' (', v.names, ')'), ', ' order by v.started_at)
  ),
  'give all the code of the newest, which stands last, and restart the others (systemctl restart rowhooks-worker)'
from (
  select
    q.queue,
    w.receivers,
    w.code_version,
    string_agg(w.name, ', ' order by w.name) as names,
    max(w.started_at) as started_at
  from ({live}) as w
  cross join lateral unnest(w.queues) as q (queue)
  group by q.queue, w.receivers, w.code_version
) as v
group by v.queue, v.receivers
having count(*) > 1
order by 1;

-- name: other_clock
select
  format(
    'the clock of worker %s is %s s %s the server''s: the times of its runs are wrong by as much', w.name,
    round(abs(extract(epoch from w.clock_offset))), case when w.clock_offset > interval '0' then 'ahead of' else 'behind' end
  ),
  'set both by NTP (chronyc tracking, timedatectl), and restart the worker'
from ({live}) as w
where abs(extract(epoch from w.clock_offset)) > {LARGEST_SKEW}
order by 1;

-- name: lacking_receivers
-- A worker without a receiver, in a queue where others have it.
select
  format(
    'worker %s serves queue %s and does not have %s: their runs go to other workers', w.name, o.queue,
    string_agg(distinct o.class_path, ', ' order by o.class_path)
  ),
  'give it the receivers that the leader has (receivers in its rowhooks.toml, the code that is installed), and restart it'
from ({live}) as w
join ({handed_to_workers}) as o on o.queue = any(w.queues) and o.class_path <> all(w.receivers)
where exists (select from ({live}) as x where o.queue = any(x.queues) and o.class_path = any(x.receivers))
group by w.name, w.id, o.queue
order by 1;

-- name: live
-- The workers that take runs.
select w.*
from rowhooks.worker as w
where {is_connected} and {is_heard_of} and not w.is_stopping;

-- name: handed_to_workers
-- The enabled hooks and buttons whose runs the present or last leader hands to workers, with the queues of their runs.
select o.*
from (
  select
    'hook' as kind,
    h.name,
    h.id as hook_id,
    null::integer as button_id,
    j.class_path,
    coalesce(h.queue, j.meta ->> 'queue', f.default_queue) as queue
  from rowhooks.job_hook as h
  join rowhooks.job as j on j.id = h.job_id
  cross join rowhooks.feed as f
  where h.enabled and j.enabled and j.installed
  union all
  select
    'button' as kind,
    b.name,
    null::integer as hook_id,
    b.id as button_id,
    j.class_path,
    coalesce(b.queue, j.meta ->> 'queue', f.default_queue) as queue
  from rowhooks.job_button as b
  join rowhooks.job as j on j.id = b.job_id
  cross join rowhooks.feed as f
  where b.enabled and j.enabled and j.installed
) as o
join rowhooks.feed as x on o.queue = any(x.queues) and o.queue <> all(x.own_queues);
