"""A run writes its result while the recorder puts its STARTED on record: it is retried, and has its effect once."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import text

from rowhooks import JobHookReceiver, ObjectChange
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, settled

Connection = psycopg.Connection[Any]

GATE = 4711
HELD = f"""
create function public.held(id bigint) returns bigint language plpgsql immutable as $$
begin
  if coalesce(current_setting('rowhooks.receiver', true), '') <> '' then
    perform pg_advisory_xact_lock_shared({GATE});
  end if;
  return id;
end $$;
alter table rowhooks.job_result drop constraint job_result_pkey;
drop index rowhooks.job_result_run_key;
create index held on rowhooks.job_result (public.held(id));
alter table rowhooks.job_result add constraint job_result_pkey primary key (id);
create unique index job_result_run_key on rowhooks.job_result (object_change_id, job_hook_id)
where trigger = 'change' and original_id is null;
"""
"""A run that writes its result waits between its look for another one and its entries in the two unique indexes.

PostgreSQL makes the entries in the order in which the indexes were created: the primary key comes first, as in ours.
"""
EFFECT = text("insert into effect values (:name)")


class Plain(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.session.execute(EFFECT, {"name": "plain"})


class Asynchronous(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.execute(EFFECT, {"name": "asynchronous"})


async def test_a_result_that_meets_the_runs_own_started_is_written_by_another_attempt(
    db: Connection, dsn: str, daemon_dsn: str, device: str
) -> None:
    db.execute("create table effect (name text)")
    db.execute("grant insert on effect to rowhooks_daemon")
    db.execute(HELD)
    for receiver in (Plain, Asynchronous):
        add_hook(db, receiver, device)
    async with running_daemon(daemon_dsn, Plain, Asynchronous):
        with psycopg.connect(dsn, autocommit=True) as gate:
            gate.execute("select pg_advisory_lock(%s)", (GATE,))
            db.execute("insert into dcim.device values (1, 'sw-1')")
            started = "select count(*) = 2 from rowhooks.job_result where status = 'STARTED'"
            await eventually(lambda: db.execute(started).fetchone() == (True,))
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory'"
            assert db.execute(waiting).fetchone() == (2,)
        await settled(db)
    found = db.execute("select hook_name, status, exception_message from rowhooks.job_result order by 1").fetchall()
    assert found == [("Asynchronous", "SUCCESS", None), ("Plain", "SUCCESS", None)]
    assert db.execute("select name from effect order by 1").fetchall() == [("asynchronous",), ("plain",)]
