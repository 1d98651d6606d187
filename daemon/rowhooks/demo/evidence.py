"""What the database says about changes and runs; everything that the demo claims is read here first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rowhooks.demo.stage import Stage

_CHANGES = """
select
  c.id, c.action, c.object_type, c.object_repr, c.prechange, c.postchange, c.user_name, c.db_user::text, c.request_id
from rowhooks.changes as c
where c.id > %s
order by c.id
"""

# The commit's own time, not the log's: a row may have been written long before its transaction was committed.
_RUNS = """
select
  r.id,
  j.name,
  r.status,
  1000 * extract(epoch from r.started_at - pg_xact_commit_timestamp(c.transaction_id::xid))::float,
  1000 * extract(epoch from r.finished_at - r.started_at)::float,
  r.exception_message
from rowhooks.results as r
join rowhooks.job as j on j.class_path = r.class_path
join rowhooks.changes as c on c.id = r.object_change_id
where c.id = %s
order by r.started_at, r.id
"""

_LINES = "select e.level, e.message from rowhooks.job_log_entry as e where e.job_result_id = %s order by e.id"

# What the hooks say should have run, beside what did.
_OWED = """
select
  count(*),
  count(r.id),
  count(r.id) filter (where r.status = 'SUCCESS')
from rowhooks.object_change as c
join rowhooks.job_hook_table as t on t.tracked_table_id = c.tracked_table
join rowhooks.job_hook as h on h.id = t.job_hook_id
left join rowhooks.job_result as r on r.object_change_id = c.id and r.job_hook_id = h.id
where c.id > %s
  and case c.action when 'create' then h.type_create when 'update' then h.type_update else h.type_delete end
"""

_SPEED = """
select
  count(*),
  coalesce(percentile_cont(0.5) within group (order by s.waited), 0),
  coalesce(max(s.waited), 0)
from (
  select 1000 * extract(epoch from r.started_at - pg_xact_commit_timestamp(c.transaction_id::xid))::float as waited
  from rowhooks.job_result as r
  join rowhooks.object_change as c on c.id = r.object_change_id
  where c.id > %s and c.id <= %s
) as s
"""


@dataclass(frozen=True)
class Change:
    """One row of the log."""

    id: int
    action: str
    table: str
    repr: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    user: str | None
    login: str
    request: str | None


@dataclass(frozen=True)
class Ran:
    """One run; milliseconds it `waited` from the change's commit to its start, and `took` from there to its end."""

    id: int
    job: str
    status: str
    waited: float
    took: float
    error: str | None


@dataclass(frozen=True)
class Owed:
    """How many runs the hooks asked for, how many are on record, and how many of those succeeded."""

    due: int
    recorded: int
    succeeded: int

    @property
    def paid(self) -> bool:
        """Whether every run there should be is there, and succeeded."""
        return self.due == self.recorded == self.succeeded


@dataclass(frozen=True)
class Speed:
    """Milliseconds from the commit to the start of its runs."""

    runs: int
    median: float
    longest: float


def last_change(stage: Stage) -> int:
    """Return the id of the newest change, 0 where there is none."""
    return int(stage.value("select coalesce(max(id), 0) from rowhooks.object_change"))


def changes_after(stage: Stage, change_id: int) -> list[Change]:
    """Return the changes that were logged after this one."""
    return [Change(*row) for row in stage.ask(_CHANGES, change_id)]


def runs_of(stage: Stage, change_id: int) -> list[Ran]:
    """Return a change's runs in the order in which they began."""
    return [Ran(*row) for row in stage.ask(_RUNS, change_id)]


def lines_of(stage: Stage, run_id: int) -> list[tuple[str, str]]:
    """Return level and message of what a receiver logged."""
    return [(level, message) for level, message in stage.ask(_LINES, run_id)]


def owed_after(stage: Stage, change_id: int) -> Owed:
    """Return what the changes after this one should have started, and what became of it."""
    return Owed(*stage.ask(_OWED, change_id)[0])


def speed_between(stage: Stage, after: int, up_to: int) -> Speed:
    """Return how fast runs began for the changes after one and up to another."""
    return Speed(*stage.ask(_SPEED, after, up_to)[0])


def wrong_counts(stage: Stage) -> list[str]:
    """Return the sites whose device_count is not the number of their devices."""
    query = (
        "select s.name from dcim.site as s"
        " where s.device_count <> (select count(*) from dcim.device as d where d.site_id = s.id) order by s.name"
    )
    return [name for (name,) in stage.ask(query)]
