"""Jobs that the daemon which leads does not have: what waits for them, and which standbys have other receivers."""

from __future__ import annotations

from rowhooks.domain.run import WAITING

IS_KEPT = f"(r.status in ('PENDING', 'STARTED', 'RETRY') and r.leader_epoch = '{WAITING}')"
"""Whether a run, `r`, waits for a leader whose code has its class."""

KEPT_BY_JOB = f"""
  select coalesce(h.job_id, b.job_id) as job_id, count(*) as runs
  from rowhooks.job_result as r
  left join rowhooks.job_hook as h on h.id = r.job_hook_id
  left join rowhooks.job_button as b on b.id = r.job_button_id
  where {IS_KEPT}
  group by 1
"""  # noqa: S608  (constants)
"""A query of how many runs wait so, by the ids of their jobs; null where the hook or button is gone."""

MISSING_JOBS = f"""
select j.id, j.class_path, o.hooks, o.buttons, coalesce(k.runs, 0) as waiting, o.missed
from rowhooks.job as j
cross join lateral (
  select
    array(select h.name from rowhooks.job_hook as h where h.job_id = j.id and h.enabled and j.enabled order by 1)
      as hooks,
    array(select b.name from rowhooks.job_button as b where b.job_id = j.id and b.enabled and j.enabled order by 1)
      as buttons,
    (
      select coalesce(sum(m.changes), 0)::bigint
      from rowhooks.job_hook_missed as m
      join rowhooks.job_hook as h on h.id = m.job_hook_id
      where h.job_id = j.id
    ) as missed
) as o
left join ({KEPT_BY_JOB}) as k on k.job_id = j.id
where not j.installed and (o.hooks <> '{{}}' or o.buttons <> '{{}}' or k.runs > 0)
"""  # noqa: S608  (constants)
"""A query of the jobs that the leader does not have and for which something waits, or is to."""

OTHER_RECEIVERS = """
select
  substr(a.application_name, length('rowhooks standby ') + 1) as standby,
  array(
    select j.class_path from rowhooks.job as j where j.installed and j.class_path <> all (d.receivers) order by 1
  ) as lacks,
  array(
    select x.receiver from unnest(d.receivers) as x (receiver)
    where not exists (select from rowhooks.job as j where j.installed and j.class_path = x.receiver) order by 1
  ) as has
from rowhooks.daemon as d
join pg_stat_activity as a
  on a.pid = d.backend_pid and a.datname = current_database() and a.application_name like 'rowhooks standby %'
"""
"""A query of the standbys, with what each lacks of the leader's receivers, and what it has and the leader has not."""
