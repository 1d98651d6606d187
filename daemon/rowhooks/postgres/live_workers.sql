-- Workers that are connected and heard of.

-- name: live_by_queue
-- How many workers take runs of each queue.
select q.queue, count(*) as workers
from rowhooks.worker as w
cross join lateral unnest(w.queues) as q (queue)
where {is_connected} and {is_heard_of} and not w.is_stopping
group by q.queue;

-- noqa: disable=PRS

-- name: is_connected
-- Whether the server process of a worker, `w`, exists, as far as that is known: behind a transaction pooler it has none of
-- its own. A role without pg_read_all_stats is not told when the session of another role began.
(w.backend_pid is null or exists (
  select from pg_stat_activity as a
  where a.pid = w.backend_pid and (a.backend_start is null or a.backend_start = w.backend_start)
));

-- name: is_heard_of
-- Whether a worker, `w`, was heard of not long ago; it says every second that it is alive.
(w.seen_at > clock_timestamp() - make_interval(secs => {SILENCE}));
