"""Celery as Nautobot uses it: one task for each change, a result in the database, Redis as the broker.

What Nautobot writes for a run of a job: a PENDING result before the task is sent; STARTED; a log entry when it begins
and one when it ends; SUCCESS. Each is a transaction of its own. See nautobot/extras/models/jobs.py (`enqueue_job`),
nautobot/extras/jobs.py (`run_job`) and the result backend of django-celery-results. Here psycopg writes them, without
Django's models, which would cost more.

`celery -A benchmarks.celery_tasks worker` serves the tasks; see `benchmarks.celery_peer`.
"""

from __future__ import annotations

import os
import time
import uuid
from functools import cache
from typing import Any

import celery
import psycopg

TABLES = """
create table bench.celery_result (
  id uuid primary key, status text not null, change_id bigint, date_created timestamptz not null default now(),
  date_started timestamptz, date_done timestamptz, result jsonb, worker text
);
create index on bench.celery_result (status);
create index on bench.celery_result (date_created);
create table bench.celery_log (
  id uuid primary key default gen_random_uuid(), result_id uuid not null references bench.celery_result,
  created timestamptz not null default now(), log_level text not null, grouping text not null, message text not null
);
create index on bench.celery_log (result_id);
create table bench.celery_change (id bigint primary key, before jsonb, after jsonb);
"""

app = celery.Celery("bench", broker=os.environ.get("BENCH_BROKER", "redis://127.0.0.1:6379/0"))
app.conf.update(
    task_ignore_result=True, worker_prefetch_multiplier=1, task_acks_late=False, broker_connection_retry_on_startup=True
)


@cache
def _connection() -> psycopg.Connection[Any]:
    """Return the connection of this process; a statement is a transaction, as in Django."""
    return psycopg.connect(os.environ["BENCH_DSN"], autocommit=True, prepare_threshold=0)


def run_job(receiver: str, result_id: str, change_id: int) -> None:
    """Execute what a receiver does with one change."""
    connection = _connection()
    connection.execute(
        "update bench.celery_result set status = 'STARTED', date_started = now() where id = %s", (result_id,)
    )
    _log(connection, result_id, "Running job")
    change = connection.execute(
        "select id, before, after from bench.celery_change where id = %s", (change_id,)
    ).fetchone()
    assert change is not None
    if receiver == "Writing":
        connection.execute("insert into bench.written (change_id) values (%s)", (change_id,))
    elif receiver == "Sleeping":
        time.sleep(0.01)
    elif receiver == "Burning":
        end = time.thread_time() + 0.001
        while time.thread_time() < end:
            pass
    _log(connection, result_id, "Job completed")
    connection.execute(
        "update bench.celery_result set status = 'SUCCESS', date_done = now(), result = 'null' where id = %s",
        (result_id,),
    )


_task = app.task(run_job)


def _log(connection: psycopg.Connection[Any], result_id: str, message: str) -> None:
    connection.execute(
        "insert into bench.celery_log (result_id, log_level, grouping, message) values (%s, 'info', 'run', %s)",
        (result_id, message),
    )


def send(connection: psycopg.Connection[Any], receiver: str, change_id: int) -> None:
    """Note a result as PENDING and send its task, as Nautobot does when a change is saved."""
    result_id = uuid.uuid4()
    connection.execute(
        "insert into bench.celery_result (id, status, change_id) values (%s, 'PENDING', %s)", (result_id, change_id)
    )
    _task.delay(receiver, str(result_id), change_id)
